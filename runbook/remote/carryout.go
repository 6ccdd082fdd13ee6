package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/redact"
)

// carryOut finds out who asks and does what they ask, as far as they may.
func (s *Server) carryOut(ctx context.Context, r runbook.RemoteRequest) (Reply, error) {
	want, err := readRequest(r.Body)
	if err != nil {
		return Reply{}, err
	}
	tx, err := s.Begin(r.ID, s.verified(r.ID, want))
	if err != nil {
		return Reply{}, err
	}
	who, err := s.Who(ctx, r.Proof, purpose(r.ID, r.Body))
	if err != nil {
		return Reply{}, noteRefused(ctx, tx, want, who, err)
	}
	switch {
	case want.Open != nil:
		req := *want.Open
		req.By, req.Via = who.ID, runbook.ViaTerminal
		run, _, err := tx.Open(ctx, req, check.Silent{})
		if s.Client != nil {
			s.Client.opened(r.ID, run.ID)
		}
		return Reply{Run: run.ID}, err
	case want.Decide != nil:
		click := *want.Decide
		click.By, click.Via = who.ID, runbook.ViaTerminal
		answer, err := tx.Decide(ctx, click)
		return Reply{Run: click.Run, Text: answer.Text}, err
	}
	return Reply{}, errors.New("the request asks for nothing that this version of jwksbot knows")
}

// noteRefused puts into the trail that somebody without a name tried. The same
// again is counted.
func noteRefused(ctx context.Context, tx Transaction, want Request, who runbook.PersonRef, err error) error {
	var refusal *runbook.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	note := runbook.AuditEntry{Actor: who.Label(), Kind: "refused", Detail: refusal.Text}
	what := ""
	switch {
	case want.Decide != nil:
		what = string(want.Decide.Kind)
		note.Detail = fmt.Sprintf("%s of run %s: %s", want.Decide.Kind, redact.Text(want.Decide.Run), refusal.Text)
	case want.Open != nil:
		what = "request"
		note.Detail = fmt.Sprintf("request for %s: %s", redact.Text(want.Open.Target), refusal.Text)
	}
	return errors.Join(err, tx.NoteFolded(ctx, strings.Join([]string{note.Actor, what, refusal.Code}, "\n"), note))
}

// Where the proof of who asks is looked at, when that is not a bot.
const (
	byRequester = "verified on the requester's machine"
	byApprover  = "verified on the approver's machine"
	byAnother   = "verified on the machine of another terminal"
)

// verified says where the proof of a request is looked at.
func (s *Server) verified(id string, want Request) string {
	switch {
	case s.Client == nil:
		return ""
	case want.Decide != nil && s.Client.asked(want.Decide.Run), want.Open != nil && s.Client.asked(id):
		return byRequester
	case s.Client.asked(id):
		return byApprover
	}
	return byAnother
}
