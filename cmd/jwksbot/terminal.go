package main

import (
	"context"
	"log/slog"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
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
