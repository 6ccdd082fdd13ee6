package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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

// replyWithin is how long somebody waits for an answer: a request runs the
// checks first, and the process that takes it may end over it.
const replyWithin = 2 * time.Minute

// lookEvery is how often both sides look into the journal. A look is one
// statement with an index, 0.02 ms on SQLite and 0.1 ms on Postgres: a signal
// would save no more than that, and needs a session of its own on Postgres.
const lookEvery = 250 * time.Millisecond

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
	o.mine.Store(id, true)
	proof, err := identity.Prove(ctx, cfg, purpose(id, body))
	if err != nil {
		return reply{}, err
	}
	if err := o.journal.Petition(ctx, journal.Petition{ID: id, Body: body, Proof: proof}); err != nil {
		if _, rerr := o.journal.ReadPetition(ctx, id); rerr != nil { // otherwise it was written before the connection was lost
			return reply{}, err
		}
	}
	r, err := o.awaitReply(ctx, id)
	if err == nil && ctx.Err() != nil {
		err = interrupted(r.Run)
	}
	return r, err
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
