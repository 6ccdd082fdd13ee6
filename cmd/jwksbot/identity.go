package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"jwksbot/runbook"
)

// terminalPeople is the directory of the terminal: the AWS caller identity is
// mapped by the configuration to the Slack account of the same person, so that
// one human counts once. User groups are asked of Slack, if there is a token.
type terminalPeople struct {
	people []personConfig
	slack  runbook.Directory // nil without a Slack token
}

// caller asks STS who is calling and maps the answer to a person.
func (t terminalPeople) caller(ctx context.Context) (runbook.PersonRef, error) {
	cfg, err := loadAWS(ctx)
	if err != nil {
		return runbook.PersonRef{}, err
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1" // STS answers everywhere
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return runbook.PersonRef{}, fmt.Errorf("who is calling (sts:GetCallerIdentity): %w", err)
	}
	if out.Arn == nil {
		return runbook.PersonRef{}, errors.New("who is calling: STS named nobody")
	}
	for _, p := range t.people {
		if p.AWS == *out.Arn {
			return runbook.PersonRef{ID: p.Slack, Name: *out.Arn}, nil
		}
	}
	return runbook.PersonRef{}, &runbook.Refusal{Code: runbook.RefusedKind,
		Text: fmt.Sprintf("%s is mapped to nobody: add {slack: U…, aws: %s} to people in the configuration.", *out.Arn, *out.Arn)}
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

// Members asks Slack who is in a user group.
func (t terminalPeople) Members(ctx context.Context, group string, fresh bool) ([]string, error) {
	if t.slack == nil {
		return nil, fmt.Errorf("user group %s is known to Slack only: set SLACK_BOT_TOKEN, or list user ids in the policy", group)
	}
	return t.slack.Members(ctx, group, fresh)
}
