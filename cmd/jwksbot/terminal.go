package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/config"
	"jwksbot/runbook/identity"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/remote"
)

// remoteServer answers what is asked for at terminals, like the service of these
// settings, but people go by the names that the configuration gives them.
func (a *app) remoteServer(service approve.Settings, slack approve.Directory, log *slog.Logger) *remote.Server {
	service.People = terminalPeople{people: a.cfg.People, slack: slack}
	s := remote.Settings{Queue: a.journal.Fenced(), Reader: a.journal, Who: a.whoAsks, Log: log,
		Begin: func(request, verified string) (remote.Transaction, error) { return a.begin(request, verified, service) }}
	if a.terminal {
		s.Client = a.client
	}
	return remote.NewServer(s)
}

// begin returns a service all of whose writes belong to one request.
func (a *app) begin(request, verified string, settings approve.Settings) (remote.Transaction, error) {
	tx := a.journal.Fenced().RequestTransaction(request)
	settings.Ledger, settings.Verified = tx, verified
	service, err := approve.New(settings)
	return struct {
		*approve.Service
		journal.RequestTransaction
	}{service, tx}, err
}

// proveAWS proves who the AWS caller is, for one purpose.
func proveAWS(ctx context.Context, purpose []byte) (string, error) {
	cfg, err := loadAWS(ctx)
	if err != nil {
		return "", err
	}
	return identity.Prove(ctx, cfg, purpose)
}

// whoAsks lets STS, by this process's own settings, say who made a proof.
func (a *app) whoAsks(ctx context.Context, proof string, purpose []byte) (runbook.PersonRef, error) {
	cfg, err := loadAWS(ctx)
	if err != nil {
		return runbook.PersonRef{}, err
	}
	verifier, err := identity.NewVerifier(cfg, runbook.SystemClock{})
	if err != nil {
		return runbook.PersonRef{}, err
	}
	arn, err := verifier.Who(ctx, proof, purpose)
	if err != nil {
		return runbook.PersonRef{}, err
	}
	return terminalPeople{people: a.cfg.People}.person(arn)
}

// ask hands in what somebody asks for at this terminal.
func (a *app) ask(ctx context.Context, want remote.Request) (remote.Reply, error) {
	answer, err := a.client.Do(ctx, want)
	if err == nil && ctx.Err() != nil {
		err = interrupted(answer.Run)
	}
	return answer, err
}

// terminalPeople is the directory of the terminal: the configuration maps AWS
// identities to the Slack accounts of the same people, so that one human counts
// once. What they are and may is Slack's to say, as for everybody.
type terminalPeople struct {
	people []config.Person
	slack  approve.Directory
}

// person maps an ARN that was proven to the person behind it.
func (t terminalPeople) person(arn string) (runbook.PersonRef, error) {
	for _, p := range t.people {
		if p.AWS == arn {
			return runbook.PersonRef{ID: p.Slack, Name: arn}, nil
		}
	}
	return runbook.PersonRef{ID: arn}, &runbook.Refusal{Code: runbook.RefusedKind,
		Text: fmt.Sprintf("%s is mapped to nobody: add {slack: U…, aws: %s} to people in the configuration of the process that executes runs.", arn, arn)}
}

// Person asks Slack, and names the people of the configuration by their AWS
// identity.
func (t terminalPeople) Person(ctx context.Context, id string) (approve.Person, error) {
	p, err := t.slack.Person(ctx, id)
	for _, known := range t.people {
		if known.Slack == id {
			p.ID, p.Name = id, known.AWS
			break
		}
	}
	return p, err
}

// Members asks Slack who is in a user group.
func (t terminalPeople) Members(ctx context.Context, group string, fresh bool) (approve.Group, error) {
	return t.slack.Members(ctx, group, fresh)
}

// noSlack is the directory of a terminal without a token.
type noSlack struct{}

// noToken is its only answer.
func noToken() error {
	return &approve.Unanswered{Err: errors.New("this terminal has no token for Slack"),
		Advice: "Start `jwksbot serve` on this journal, or set SLACK_BOT_TOKEN here."}
}

// Person knows nobody.
func (noSlack) Person(context.Context, string) (approve.Person, error) {
	return approve.Person{}, noToken()
}

// Members knows no groups.
func (noSlack) Members(context.Context, string, bool) (approve.Group, error) {
	return approve.Group{}, noToken()
}

// How long Slack has to say what somebody may: a click is answered within three
// seconds, everything else can wait a little.
const (
	clickWithin = 2 * time.Second
	calmWithin  = 10 * time.Second
)

// lastWord is a directory whose answers are kept in the journal, for when Slack
// cannot be asked.
func (a *app) lastWord(w *world, slack approve.Directory, within time.Duration) *approve.RememberingDirectory {
	return &approve.RememberingDirectory{Directory: slack, Memory: a.journal, Clock: a.clock, Within: within,
		Failed: func(err error) { w.background("what Slack said of people", err) }}
}

// byTerminal is where rights are looked at once more when a run is executed by a
// terminal.
const byTerminal = "verified on the machine of the terminal that carries it out"
