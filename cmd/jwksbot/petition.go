package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"jwksbot/runbook"
	"jwksbot/runbook/identity"
	"jwksbot/runbook/journal"
)

// petition is what a command on a terminal asks of the process that executes
// the journal: that one alone knows the policy, and finds out by itself who
// asks. By is never taken from here.
type petition struct {
	Request *runbook.Request `json:"request,omitempty"`
	Click   *runbook.Click   `json:"click,omitempty"`
}

// reply is the answer to a petition: what came of it, why it was refused, or
// what went wrong.
type reply struct {
	Run     string           `json:"run,omitempty"`
	Text    string           `json:"text,omitempty"`
	Refusal *runbook.Refusal `json:"refusal,omitempty"`
	Error   string           `json:"error,omitempty"`
}

// purpose is what the proof of an identity is bound to.
func purpose(id string, body []byte) []byte {
	return fmt.Appendf(nil, "jwksbot petition 1\n%s\n%s", id, body)
}

const (
	replyWithin  = 2 * time.Minute // a request runs the checks first
	lookEvery    = 250 * time.Millisecond
	counterHands = 4 // petitions that are dealt with at a time
	maxTakes     = 3 // processes that may end over one petition
)

// ask hands in a petition and waits for its answer.
func (o *office) ask(ctx context.Context, p petition) (reply, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return reply{}, err
	}
	cfg, err := loadAWS(ctx)
	if err != nil {
		return reply{}, err
	}
	id := rand.Text()
	proof, err := identity.Prove(ctx, cfg, purpose(id, body))
	if err != nil {
		return reply{}, err
	}
	if err := o.journal.Petition(ctx, journal.Petition{ID: id, Body: body, Proof: proof}); err != nil {
		return reply{}, err
	}
	return o.awaitReply(ctx, id)
}

// awaitReply goes on asking while the journal cannot be read: the petition stays
// there, so its end has to be known.
func (o *office) awaitReply(ctx context.Context, id string) (reply, error) {
	patience, cancel := context.WithTimeout(ctx, replyWithin)
	defer cancel()
	for {
		p, err := o.journal.ReadPetition(patience, id)
		switch {
		case errors.Is(err, journal.ErrUnknownPetition):
			return reply{}, err
		case err == nil && p.Answer != nil:
			return readReply(p.Answer)
		}
		if (runbook.SystemClock{}).Wait(patience, lookEvery) != nil {
			return o.takeBack(ctx, id)
		}
	}
}

// takeBack ends the waiting for an answer: what was not carried out by now never
// will be.
func (o *office) takeBack(ctx context.Context, id string) (reply, error) {
	why := "interrupted"
	if ctx.Err() == nil {
		why = "no answer within " + runbook.Duration(replyWithin)
	}
	raw, err := json.Marshal(reply{Error: "taken back: " + why})
	if err != nil {
		return reply{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	p, back, err := o.journal.TakeBackPetition(ctx, id, raw)
	switch {
	case err != nil:
		return reply{}, fmt.Errorf("%s, and this could not be taken back: see what came of it with: jwksbot runs: %w", why, err)
	case !back && p.Answer != nil:
		return readReply(p.Answer)
	case !back:
		return o.carriedOut(ctx, p)
	case why != "interrupted" && p.Takes == 0:
		why += "; another process executes this journal and does not take requests from terminals: is it an older jwksbot, or does it hang?"
	case why != "interrupted":
		why += "; the process that took it is busy or hangs: its log has more"
	}
	return reply{}, &exitError{exitFailed, fmt.Errorf("nothing was done, and nothing will be: %s", why)}
}

func readReply(raw []byte) (reply, error) {
	var r reply
	if err := json.Unmarshal(raw, &r); err != nil {
		return reply{}, fmt.Errorf("the answer cannot be read: %w", err)
	}
	switch {
	case r.Refusal != nil:
		return r, r.Refusal
	case r.Error != "":
		return r, errors.New(r.Error)
	}
	return r, nil
}

// counter answers petitions while this process executes the journal, also those
// that an executor before it has left without an answer.
func (o *office) counter(ctx context.Context, log *slog.Logger) error {
	var hands errgroup.Group
	hands.SetLimit(counterHands)
	defer hands.Wait()
	for {
		if err := (runbook.SystemClock{}).Wait(ctx, lookEvery); err != nil {
			return err
		}
		for o.journal.Executing() && ctx.Err() == nil {
			p, ok, err := o.journal.Tenure().TakePetition(ctx)
			if err != nil && ctx.Err() == nil && !errors.Is(err, journal.ErrNotExecutor) && !runbook.LedgerAway(err) {
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
		now = "Not approved: the world moved since the request. Look at the new plan and decide again."
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
		return reply{}, noteRefused(ctx, errand, want, who, err)
	}
	settings := o.terminal
	settings.Ledger = errand
	desk, err := runbook.NewDesk(settings)
	if err != nil {
		return reply{}, err
	}
	switch {
	case want.Request != nil:
		req := *want.Request
		req.By, req.Via = who.ID, runbook.ViaTerminal
		run, _, err := desk.Open(ctx, req, runbook.Silent{})
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

// noteRefused puts into the trail that somebody without a name tried.
func noteRefused(ctx context.Context, errand journal.Errand, want petition, who runbook.PersonRef, err error) error {
	var refusal *runbook.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	note := runbook.AuditEntry{Actor: who.Label(), Kind: "refused", Detail: refusal.Text}
	switch {
	case want.Click != nil:
		note.Detail = fmt.Sprintf("%s of run %s: %s", want.Click.Kind, runbook.Redact(want.Click.Run), refusal.Text)
	case want.Request != nil:
		note.Detail = fmt.Sprintf("request for %s: %s", runbook.Redact(want.Request.Target), refusal.Text)
	}
	return errors.Join(err, errand.Note(ctx, note))
}
