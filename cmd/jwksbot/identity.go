package main

import (
	"context"
	"fmt"

	"jwksbot/runbook"
)

// terminalPeople is the directory of the terminal: the AWS caller identity is
// mapped by the configuration to the Slack account of the same person, so that
// one human counts once. User groups are asked of Slack, if there is a token.
type terminalPeople struct {
	people []personConfig
	slack  runbook.Directory // nil without a Slack token
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

// Person knows the people of the configuration, and asks Slack about the rest.
func (t terminalPeople) Person(ctx context.Context, id string) (runbook.Person, error) {
	for _, p := range t.people {
		if p.Slack == id {
			return runbook.Person{PersonRef: runbook.PersonRef{ID: id, Name: p.AWS}, Kind: runbook.KindMember}, nil
		}
	}
	if t.slack != nil {
		return t.slack.Person(ctx, id)
	}
	return runbook.Person{PersonRef: runbook.PersonRef{ID: id}, Kind: runbook.KindUnknown}, nil
}

// Members asks Slack who is in a user group. While Slack is down the terminal
// has to work all the same: then what Slack said last counts.
func (t terminalPeople) Members(ctx context.Context, group string, fresh bool) ([]string, error) {
	if t.slack == nil {
		return nil, fmt.Errorf("user group %s is known to Slack only: set SLACK_BOT_TOKEN, or list user ids in the policy", group)
	}
	members, err := t.slack.Members(ctx, group, fresh)
	if err != nil && fresh {
		if known, kerr := t.slack.Members(ctx, group, false); kerr == nil {
			return known, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w; while Slack does not answer, only people that the policy lists by their own ids can act", err)
	}
	return members, nil
}
