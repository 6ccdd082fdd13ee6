package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"golang.org/x/sync/errgroup"

	"jwksbot/runbook"
	"jwksbot/runbook/identity"
	"jwksbot/runbook/journal"
)

const (
	counterHands = 4 // petitions that are dealt with at a time
	maxTakes     = 3 // processes that may end over one petition
)

// counter answers petitions while this process executes the journal, also those
// that an executor before it has left without an answer. It takes petitions
// until open ends, and ends when those that it has taken are dealt with; ctx
// ends those, too.
func (o *office) counter(ctx, open context.Context, log *slog.Logger) error {
	var hands errgroup.Group
	hands.SetLimit(counterHands)
	defer hands.Wait()
	for {
		if err := (runbook.SystemClock{}).Wait(open, lookEvery); err != nil {
			return err
		}
		for o.journal.Executing() && open.Err() == nil {
			p, ok, err := o.journal.Tenure().TakePetition(open)
			if err != nil && open.Err() == nil && !errors.Is(err, journal.ErrNotExecutor) && !runbook.LedgerAway(err) {
				log.Error("requests from terminals cannot be read", "error", err)
			}
			if err != nil || !ok {
				break
			}
			hands.Go(func() error {
				o.serveOne(ctx, p, log.With("petition", p.ID))
				return nil
			})
		}
	}
}

// serveOne carries a petition out and answers it. When this process is being
// ended, or replaced, before that, it leaves the petition to the next executor.
func (o *office) serveOne(ctx context.Context, p journal.Petition, log *slog.Logger) {
	r, err := o.settle(ctx, p, log)
	var refusal *runbook.Refusal
	switch {
	case errors.As(err, &refusal):
		r.Refusal = refusal
	case errors.Is(err, journal.ErrNotExecutor), errors.Is(err, journal.ErrPetitionOver), err != nil && ctx.Err() != nil:
		return
	case err != nil:
		r.Error = err.Error()
	}
	raw, err := json.Marshal(r)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
		defer cancel()
		err = o.journal.Tenure().AnswerPetition(ctx, p.ID, raw)
	}
	if err != nil && !errors.Is(err, journal.ErrNotExecutor) {
		log.Error("a request from a terminal could not be answered", "error", err)
	}
}

// settle carries a petition out unless that was done before. A panic is an
// answer, too: one that ends the process would go from executor to executor.
func (o *office) settle(ctx context.Context, p journal.Petition, log *slog.Logger) (r reply, err error) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("a request from a terminal panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			r, err = reply{}, errors.New("a fault of jwksbot: it panicked over this request; its log has the details")
		}
	}()
	switch {
	case p.Run != "":
		return o.carriedOut(ctx, p)
	case p.Takes > maxTakes:
		return reply{}, fmt.Errorf("nothing was done: %d processes ended, one after the other, while they dealt with this; their logs have more", maxTakes)
	}
	r, err = o.grant(ctx, p)
	if err == nil || errors.As(err, new(*runbook.Refusal)) {
		return r, err
	}
	// The connection may have been lost just after it was done.
	if now, rerr := o.journal.ReadPetition(ctx, p.ID); rerr == nil && now.Run != "" {
		return o.carriedOut(ctx, now)
	}
	return r, err
}

// carriedOut tells of a petition that was carried out by a process that could
// not answer any more.
func (o *office) carriedOut(ctx context.Context, p journal.Petition) (reply, error) {
	var want petition
	if err := json.Unmarshal(p.Body, &want); err != nil {
		return reply{}, fmt.Errorf("the petition cannot be read: %w", err)
	}
	run, err := o.journal.Run(ctx, p.Run)
	if err != nil || want.Click == nil {
		return reply{Run: p.Run}, err
	}
	now := fmt.Sprintf("The run is now %s.", run.State)
	switch n := len(run.Approvals()); {
	case run.State == runbook.StatePending && n == 0:
		now = "Not approved: things changed since the request. Look at the new plan and decide again."
	case run.State == runbook.StatePending:
		now = fmt.Sprintf("Counted: %d of %s.", n, count(run.Required, "approval", "approvals"))
	}
	return reply{Run: run.ID, Text: now}, nil
}

// grant finds out who asks and does what they ask, as far as they may.
func (o *office) grant(ctx context.Context, p journal.Petition) (reply, error) {
	var want petition
	if err := json.Unmarshal(p.Body, &want); err != nil {
		return reply{}, fmt.Errorf("the petition cannot be read: %w", err)
	}
	errand := o.journal.Tenure().Errand(p.ID)
	who, err := o.whoAsks(ctx, p)
	if err != nil {
		return reply{}, o.noteRefused(ctx, errand, want, who, err)
	}
	settings := o.counterDesk
	settings.Ledger, settings.Verified = errand, o.verified(p.ID, want)
	desk, err := runbook.NewDesk(settings)
	if err != nil {
		return reply{}, err
	}
	switch {
	case want.Request != nil:
		req := *want.Request
		req.By, req.Via = who.ID, runbook.ViaTerminal
		run, _, err := desk.Open(ctx, req, runbook.Silent{})
		if _, mine := o.mine.Load(p.ID); mine {
			o.mine.Store(run.ID, true)
		}
		return reply{Run: run.ID}, err
	case want.Click != nil:
		click := *want.Click
		click.By, click.Via = who.ID, runbook.ViaTerminal
		answer, err := desk.Decide(ctx, click)
		return reply{Run: click.Run, Text: answer.Text}, err
	}
	return reply{}, errors.New("the petition asks for nothing that this version of jwksbot knows")
}

// whoAsks lets STS, by this process's own settings, say who made the proof.
func (o *office) whoAsks(ctx context.Context, p journal.Petition) (runbook.PersonRef, error) {
	cfg, err := loadAWS(ctx)
	if err != nil {
		return runbook.PersonRef{}, err
	}
	verifier, err := identity.NewVerifier(cfg, runbook.SystemClock{})
	if err != nil {
		return runbook.PersonRef{}, err
	}
	arn, err := verifier.Who(ctx, p.Proof, purpose(p.ID, p.Body))
	if err != nil {
		return runbook.PersonRef{}, err
	}
	return terminalPeople{people: o.cfg.People}.person(arn)
}

// noteRefused puts into the trail that somebody without a name tried. The same
// again is counted.
func (o *office) noteRefused(ctx context.Context, errand journal.Errand, want petition, who runbook.PersonRef, err error) error {
	var refusal *runbook.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	note := runbook.AuditEntry{Actor: who.Label(), Kind: "refused", Detail: refusal.Text}
	what := ""
	switch {
	case want.Click != nil:
		what = string(want.Click.Kind)
		note.Detail = fmt.Sprintf("%s of run %s: %s", want.Click.Kind, runbook.Redact(want.Click.Run), refusal.Text)
	case want.Request != nil:
		what = "request"
		note.Detail = fmt.Sprintf("request for %s: %s", runbook.Redact(want.Request.Target), refusal.Text)
	}
	return errors.Join(err, errand.NoteFolded(ctx, strings.Join([]string{note.Actor, what, refusal.Code}, "\n"), note))
}
