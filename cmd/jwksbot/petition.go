package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
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

func (o *office) awaitReply(ctx context.Context, id string) (reply, error) {
	for deadline := time.Now().Add(replyWithin); ; {
		p, err := o.journal.ReadPetition(ctx, id)
		if err != nil {
			return reply{}, err
		}
		if p.Answer != nil {
			return readReply(p.Answer)
		}
		if time.Now().After(deadline) && p.Taken {
			return reply{}, errors.New("no answer: the process that took this may have ended over it; see what came of it with: jwksbot runs")
		}
		if time.Now().After(deadline) {
			return reply{}, errors.New("no answer: another process executes this journal and does not take petitions; is it an older jwksbot, or does it hang?")
		}
		if err := (runbook.SystemClock{}).Wait(ctx, lookEvery); err != nil {
			return reply{}, err
		}
	}
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

// counter answers petitions while this process executes the journal.
func (o *office) counter(ctx context.Context, onError func(error)) error {
	var hands errgroup.Group
	hands.SetLimit(counterHands)
	defer hands.Wait()
	for {
		if err := (runbook.SystemClock{}).Wait(ctx, lookEvery); err != nil {
			return err
		}
		for o.journal.Executing() && ctx.Err() == nil {
			p, ok, err := o.journal.Tenure().TakePetition(ctx)
			if err != nil && ctx.Err() == nil && !errors.Is(err, journal.ErrNotExecutor) {
				onError(fmt.Errorf("petitions: %w", err))
			}
			if err != nil || !ok {
				break
			}
			hands.Go(func() error {
				if err := o.serveOne(ctx, p); err != nil {
					onError(fmt.Errorf("petition %s: %w", p.ID, err))
				}
				return nil
			})
		}
	}
}

// serveOne answers a petition; what it led to is kept even when the process is
// being ended.
func (o *office) serveOne(ctx context.Context, p journal.Petition) error {
	r, err := o.grant(ctx, p)
	var refusal *runbook.Refusal
	switch {
	case errors.As(err, &refusal):
		r.Refusal = refusal
	case err != nil && ctx.Err() != nil:
		r.Error = "the process that took this was being ended; see what came of it with: jwksbot runs"
	case err != nil:
		r.Error = err.Error()
	}
	raw, merr := json.Marshal(r)
	if merr != nil {
		return merr
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	return o.journal.AnswerPetition(ctx, p.ID, raw)
}

// grant finds out who asks and does what they ask, as far as they may.
func (o *office) grant(ctx context.Context, p journal.Petition) (reply, error) {
	var want petition
	if err := json.Unmarshal(p.Body, &want); err != nil {
		return reply{}, fmt.Errorf("the petition cannot be read: %w", err)
	}
	who, err := o.whoAsks(ctx, p)
	if err != nil {
		return reply{}, o.noteRefused(ctx, want, who, err)
	}
	switch {
	case want.Request != nil:
		req := *want.Request
		req.By, req.Via = who.ID, runbook.ViaTerminal
		run, _, err := o.terminal.Open(ctx, req, runbook.Silent{})
		return reply{Run: run.ID}, err
	case want.Click != nil:
		click := *want.Click
		click.By, click.Via = who.ID, runbook.ViaTerminal
		answer, err := o.terminal.Decide(ctx, click)
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
func (o *office) noteRefused(ctx context.Context, want petition, who runbook.PersonRef, err error) error {
	var refusal *runbook.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	note := runbook.AuditEntry{At: o.clock.Now(), Actor: who.Label(), Kind: "refused", Detail: refusal.Text}
	switch {
	case want.Click != nil:
		note.Detail = fmt.Sprintf("%s of run %s: %s", want.Click.Kind, runbook.Redact(want.Click.Run), refusal.Text)
	case want.Request != nil:
		note.Detail = fmt.Sprintf("request for %s: %s", runbook.Redact(want.Request.Target), refusal.Text)
	}
	return errors.Join(err, o.journal.Note(ctx, note))
}

// staffed runs fn while this process executes the journal, or another one does:
// if that one ends, this one takes over.
func (o *office) staffed(ctx context.Context, w *world, fn func(context.Context) error) error {
	around, stop := context.WithCancel(ctx)
	group, around := errgroup.WithContext(around)
	group.Go(func() error { return o.execute(around) })
	group.Go(func() error {
		return o.keeper.Keep(around, func(err error) { w.log.Error("due runs", "error", err) })
	})
	group.Go(func() error {
		return o.counter(around, func(err error) { w.log.Error("terminal", "error", err) })
	})
	err := fn(around)
	if around.Err() != nil && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		err = nil // the reason is the group's
	}
	stop()
	if gerr := group.Wait(); gerr != nil && !errors.Is(gerr, context.Canceled) {
		err = errors.Join(err, gerr)
	}
	return err
}

// execute carries out runs whenever no other process does.
func (o *office) execute(ctx context.Context) error {
	for {
		err := o.journal.TryExecute(ctx, o.machine.Advance)
		if !errors.Is(err, journal.ErrExecutorElsewhere) {
			return err
		}
		if err := (runbook.SystemClock{}).Wait(ctx, time.Second); err != nil {
			return err
		}
	}
}
