package runbook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Desk takes what people ask for and decide. It is the only way in, from Slack
// and from the terminal, and it enforces every rule about people: at the
// request, at the decision, and once more when the run is executed.
type Desk struct {
	targets map[string]*Target
	order   []string
	runner  *Runner
	ledger  ledger
	snaps   snapshots
	people  Directory
	clock   Clock
}

// DeskSettings are what a Desk needs.
type DeskSettings struct {
	Targets []*Target // in the order in which they are shown
	Runner  *Runner
	Ledger  ledger
	// Snapshots are where the entries lie that an undo writes back; nil: no undo
	// can be requested.
	Snapshots snapshots
	People    Directory
	Clock     Clock
}

// NewDesk returns a desk for the targets.
func NewDesk(s DeskSettings) (*Desk, error) {
	d := &Desk{targets: map[string]*Target{}, runner: s.Runner, ledger: s.Ledger, snaps: s.Snapshots, people: s.People, clock: s.Clock}
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
func (d *Desk) Target(name string) (*Target, error) {
	if name == "" && len(d.order) == 1 {
		return d.targets[d.order[0]], nil
	}
	if t := d.targets[name]; t != nil {
		return t, nil
	}
	return nil, NoTarget(name, nil)
}

// Request is what somebody asks for.
type Request struct {
	Target  string
	NoFlush bool  // the cache stays as it is: Restart or Gateway alone
	Scope   Scope // "" means ScopeKeys
	Direct  bool  // flush directly although the target goes through CommandBridge
	Restart bool  // restart the authoriser, after the flush if there is one
	Gateway bool  // empty the gateway's result cache, after all else
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
	Via        Via
	Channel    string // where the approval card is to stand; "" means the target's channel
}

// View checks that somebody may see a target's reports. A refusal is on record.
func (d *Desk) View(ctx context.Context, target, by string) (*Target, error) {
	t, err := d.view(ctx, target, by)
	if err != nil {
		return t, d.noteRefusal(ctx, "view", by, target, err)
	}
	return t, nil
}

func (d *Desk) view(ctx context.Context, target, by string) (*Target, error) {
	t, p, err := d.both(ctx, target, by)
	if err != nil || len(t.Policy.Viewers) == 0 {
		return t, err
	}
	return t, d.allowed(ctx, p, t.Policy.Viewers, false, "see the checks of "+t.Name)
}

// MayCheck is View for somebody who wants a check: where too many others of the
// target wait, the refusal says so before anything is shown.
func (d *Desk) MayCheck(ctx context.Context, target, by string, ask Ask) (*Target, error) {
	t, err := d.View(ctx, target, by)
	if err != nil {
		return nil, err
	}
	return t, d.runner.room(t.Name, ask)
}

// Check runs the checks of a target for somebody who may see them.
func (d *Desk) Check(ctx context.Context, target, by string, ask Ask, rep Reporter) (Report, error) {
	t, err := d.View(ctx, target, by)
	if err != nil {
		return Report{}, err
	}
	return d.runner.Check(ctx, t, ask, rep)
}

// Last returns the newest report of a target that is at most two minutes old,
// nil if there is none, for somebody who may see it.
func (d *Desk) Last(ctx context.Context, target, by string) (*Report, error) {
	t, err := d.View(ctx, target, by)
	if err != nil {
		return nil, err
	}
	return d.runner.last(t.Name), nil
}

// MayRequest says whether somebody may ask for a mitigation of the target. A
// refusal is on record.
func (d *Desk) MayRequest(ctx context.Context, target, by string) (*Target, error) {
	t, err := d.mayRequest(ctx, target, by)
	if err != nil {
		return t, d.noteRefusal(ctx, "request", by, target, err)
	}
	return t, nil
}

func (d *Desk) mayRequest(ctx context.Context, target, by string) (*Target, error) {
	t, p, err := d.both(ctx, target, by)
	if err != nil {
		return nil, err
	}
	return t, d.allowed(ctx, p, t.Policy.Requesters, true, "request a mitigation of "+t.Name)
}

// both are the person and the target of a question, in this order: somebody
// who is refused learns nothing of targets.
func (d *Desk) both(ctx context.Context, target, by string) (*Target, Person, error) {
	p, err := d.person(ctx, by)
	if err != nil {
		return nil, Person{}, err
	}
	t, err := d.named(ctx, target, p)
	if err != nil {
		return nil, Person{}, err
	}
	return t, p, nil
}

func (d *Desk) person(ctx context.Context, id string) (Person, error) {
	p, err := d.people.Person(ctx, id)
	if err != nil {
		return Person{}, fmt.Errorf("who is %q: %w", id, err)
	}
	return p, admit(p)
}

func (d *Desk) allowed(ctx context.Context, p Person, list []string, fresh bool, what string) error {
	ok, err := listed(ctx, d.people, p.ID, list, fresh)
	switch {
	case err != nil:
		return err
	case ok:
		return nil
	case len(list) == 0:
		return refuse(RefusedRight, "Nobody may %s: its list in the configuration is empty.", what)
	}
	if n, err := possible(ctx, d.people, list, ""); err == nil && n == 0 {
		return refuse(RefusedRight, "Nobody may %s now: user group %s is empty. Add people to it, or name some in the configuration.", what, strings.Join(list, ", "))
	}
	no := refuse(RefusedRight, "You may not %s.", what)
	no.People = list
	return no
}

// audit makes a row of the trail about this run.
func (r Run) audit(at time.Time, actor, kind, detail string) AuditEntry {
	return AuditEntry{At: at, Actor: actor, Kind: kind, Run: r.ID, Target: r.Target, Ticket: r.Ticket, Reason: r.Reason, Digest: r.Plan.Digest, Detail: detail}
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

// noteRefusal puts a refusal into the audit trail and returns it.
func (d *Desk) noteRefusal(ctx context.Context, kind, by, target string, err error) error {
	var refusal *Refusal
	if d.ledger == nil || !errors.As(err, &refusal) {
		return err
	}
	note := AuditEntry{At: d.clock.Now(), Actor: by, Kind: "refused", Target: clip(Redact(target), maxTicket), Detail: kind + ": " + refusal.Text}
	if auditErr := d.ledger.Note(ctx, note); auditErr != nil {
		return errors.Join(err, auditErr)
	}
	return err
}
