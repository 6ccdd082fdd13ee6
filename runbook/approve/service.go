package approve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/redact"
)

// Service takes what people ask for and decide. It is the only way in, from Slack
// and from the terminal, and it enforces every rule about people: at the
// request, at the decision, and once more when the run is executed.
type Service struct {
	targets map[string]*check.Target
	order   []string
	runner  *check.Runner
	ledger  Ledger
	snaps   Snapshots
	people  Directory
	clock   runbook.Clock

	verified string
}

// Settings are what a Service needs.
type Settings struct {
	Targets []*check.Target // in the order in which they are shown
	Runner  *check.Runner
	Ledger  Ledger
	// Snapshots are where the entries lie that an undo writes back; nil: no undo
	// can be requested.
	Snapshots Snapshots
	People    Directory
	Clock     runbook.Clock
	// Verified is where it is found out who asks, if not by serve: "verified on
	// the requester's machine".
	Verified string
}

// New returns a service for the targets.
func New(s Settings) (*Service, error) {
	d := &Service{targets: map[string]*check.Target{}, runner: s.Runner, ledger: s.Ledger, snaps: s.Snapshots, people: s.People, clock: s.Clock, verified: s.Verified}
	for _, t := range s.Targets {
		if d.targets[t.Name] != nil {
			return nil, fmt.Errorf("target %q is configured twice", t.Name)
		}
		d.targets[t.Name] = t
		d.order = append(d.order, t.Name)
	}
	if len(d.order) == 0 {
		return nil, errors.New("no targets: configure at least one")
	}
	return d, nil
}

// Target finds a target; an empty name is the only one, if there is one only.
// The refusal of another name lists none.
func (s *Service) Target(name string) (*check.Target, error) {
	if name == "" && len(s.order) == 1 {
		return s.targets[s.order[0]], nil
	}
	if t := s.targets[name]; t != nil {
		return t, nil
	}
	return nil, NoTarget(name, nil)
}

// Request is what somebody asks for.
type Request struct {
	Target  string
	NoFlush bool          // the cache stays as it is: Restart or Gateway alone
	Scope   runbook.Scope // "" means ScopeKeys
	Direct  bool          // flush directly although the target goes through CommandBridge
	Restart bool          // restart the authoriser, after the flush if there is one
	Gateway bool          // empty the gateway's result cache, after all else
	// RestoreOf is the run whose deleted entries are to be written back; then
	// nothing else is done. Force overwrites newer entries.
	RestoreOf string
	Force     bool

	Ticket   string // INC-… or CHG-…
	Reason   string
	Override string // why it should be done against the verdict's advice
	// BreakGlass is why nobody can be asked: where the target allows it, the run
	// starts at once, against any verdict, and the approvers are told.
	BreakGlass string
	By         string // the person's id
	Via        runbook.Via
	Channel    string // where the approval card is to stand; "" means the target's channel
}

// View checks that somebody may see a target's reports. A refusal is on record.
func (s *Service) View(ctx context.Context, target, by string) (*check.Target, error) {
	t, err := s.view(ctx, target, by)
	if err != nil {
		return t, s.noteRefusal(ctx, "view", by, target, err)
	}
	return t, nil
}

func (s *Service) view(ctx context.Context, target, by string) (*check.Target, error) {
	t, err := s.meant(ctx, target, by)
	if err != nil {
		return nil, err
	}
	h := LookUp(ctx, s.people, false, []string{by}, groupsFor(by, t.Policy.Viewers))
	p, err := h.person(by)
	if err != nil || len(t.Policy.Viewers) == 0 {
		return t, err
	}
	return t, h.allowed(p, t.Policy.Viewers, "see the checks of "+t.Name)
}

// MayCheck is View for somebody who wants a check: where too many others of the
// target wait, the refusal says so before anything is shown.
func (s *Service) MayCheck(ctx context.Context, target, by string, ask check.Ask) (*check.Target, error) {
	t, err := s.View(ctx, target, by)
	if err != nil {
		return nil, err
	}
	return t, s.runner.Room(t.Name, ask)
}

// Check runs the checks of a target for somebody who may see them.
func (s *Service) Check(ctx context.Context, target, by string, ask check.Ask, rep check.Reporter) (check.Report, error) {
	t, err := s.View(ctx, target, by)
	if err != nil {
		return check.Report{}, err
	}
	return s.runner.Check(ctx, t, ask, rep)
}

// Last returns the newest report of a target that is at most two minutes old,
// nil if there is none, for somebody who may see it.
func (s *Service) Last(ctx context.Context, target, by string) (*check.Report, error) {
	t, err := s.View(ctx, target, by)
	if err != nil {
		return nil, err
	}
	return s.runner.Last(t.Name), nil
}

// MayRequest says whether somebody may ask for a mitigation of the target. A
// refusal is on record.
func (s *Service) MayRequest(ctx context.Context, target, by string) (*check.Target, error) {
	t, err := s.mayRequest(ctx, Request{Target: target, By: by, Via: runbook.ViaSlack})
	if err != nil {
		return t, s.noteRefusal(ctx, "request", by, target, err)
	}
	return t, nil
}

func (s *Service) mayRequest(ctx context.Context, req Request) (*check.Target, error) {
	t, err := s.meant(ctx, req.Target, req.By)
	if err != nil {
		return nil, err
	}
	_, _, err = s.requester(ctx, t, req)
	return t, err
}

// meant is the target of a question. Somebody who is refused learns nothing of
// targets.
func (s *Service) meant(ctx context.Context, target, by string) (*check.Target, error) {
	t, err := s.Target(target)
	if err == nil {
		return t, nil
	}
	p, err := LookUp(ctx, s.people, false, []string{by}, nil).person(by)
	if err != nil {
		return nil, err
	}
	return s.named(ctx, target, p)
}

// Audit makes a row of the trail about this run.
func Audit(r runbook.Run, at time.Time, actor, kind, detail string) runbook.AuditEntry {
	return runbook.AuditEntry{At: at, Actor: actor, Kind: kind, Run: r.ID, Target: r.Target, Ticket: r.Ticket, Reason: r.Reason, Digest: r.Plan.Digest, Detail: detail}
}

// newRunID is short enough to be typed and read aloud, and says the day.
func newRunID(now time.Time) string {
	const letters = "abcdefghjkmnpqrstvwxyz23456789" // no look-alikes
	b := make([]byte, 8)
	rand.Read(b)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return now.Format("0102") + "-" + string(b)
}

// noteRefusal puts a refusal into the audit trail and returns it. The same one
// again is counted.
func (s *Service) noteRefusal(ctx context.Context, kind, by, target string, err error) error {
	refusal := AsRefusal(err)
	if s.ledger == nil || refusal == nil {
		return err
	}
	note := runbook.AuditEntry{At: s.clock.Now(), Actor: by, Kind: "refused", Target: runbook.Clip(redact.Text(target), maxTicket), Detail: kind + ": " + refusal.Text}
	if s.targets[target] == nil {
		kind, _, _ = strings.Cut(kind, " of run ") // made-up names are one and the same
		target = ""
	}
	if auditErr := s.ledger.NoteFolded(ctx, strings.Join([]string{by, kind, target, refusal.Code}, "\n"), note); auditErr != nil {
		return errors.Join(err, auditErr)
	}
	return err
}
