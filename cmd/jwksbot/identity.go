package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/config"
)

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
