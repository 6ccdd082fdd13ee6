package remote

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"jwksbot/runbook"
)

// replyWithin is how long somebody waits for an answer: a request runs the
// checks first, and the process that takes it may end over it.
const replyWithin = 2 * time.Minute

// mailbox is where requests are handed in and answers are found.
type mailbox interface {
	runs
	AddRemoteRequest(ctx context.Context, r runbook.RemoteRequest) error
	RemoteRequest(ctx context.Context, id string) (runbook.RemoteRequest, error)
	TakeBackRemoteRequest(ctx context.Context, id string, instead json.RawMessage) (r runbook.RemoteRequest, back bool, err error)
}

// Prove makes a proof of who is asking that holds for a purpose only.
type Prove func(ctx context.Context, purpose []byte) (string, error)

// Client hands in what somebody at this terminal asks for.
type Client struct {
	journal mailbox
	prove   Prove
	// own are the requests that this process has handed in, and their runs.
	own sync.Map
}

// NewClient returns a client that meets the server in the journal.
func NewClient(journal mailbox, prove Prove) *Client {
	return &Client{journal: journal, prove: prove}
}

// Do hands in a request and waits for its answer. A request that was refused
// comes back as a [*runbook.Refusal]. Where ctx ends too late for the request to
// be taken back, the answer is what came of it.
func (c *Client) Do(ctx context.Context, want Request) (Reply, error) {
	body, err := json.Marshal(want)
	if err != nil {
		return Reply{}, err
	}
	id := rand.Text()
	proof, err := c.prove(ctx, purpose(id, body))
	if err != nil {
		return Reply{}, err
	}
	c.own.Store(id, true)
	if err := c.journal.AddRemoteRequest(ctx, runbook.RemoteRequest{ID: id, Body: body, Proof: proof}); err != nil {
		if _, unread := c.journal.RemoteRequest(ctx, id); unread != nil { // otherwise it was written before the connection was lost
			return Reply{}, err
		}
	}
	return c.awaitReply(ctx, id)
}

// awaitReply goes on asking while the journal cannot be read: the request stays
// there, so its end has to be known.
func (c *Client) awaitReply(ctx context.Context, id string) (Reply, error) {
	patience, cancel := context.WithTimeout(ctx, replyWithin)
	defer cancel()
	for {
		r, err := c.journal.RemoteRequest(patience, id)
		switch {
		case errors.Is(err, runbook.ErrUnknownRequest):
			return Reply{}, err
		case err == nil && r.Answer != nil:
			return readReply(r.Answer)
		}
		if (runbook.SystemClock{}).Wait(patience, lookEvery) != nil {
			return c.takeBack(ctx, id)
		}
	}
}

// takeBack ends the waiting for an answer: what was not carried out by now never
// will be.
func (c *Client) takeBack(ctx context.Context, id string) (Reply, error) {
	why, interrupted := "interrupted", ctx.Err() != nil
	if !interrupted {
		why = "no answer within " + runbook.Duration(replyWithin)
	}
	raw, err := json.Marshal(Reply{Error: "taken back: " + why})
	if err != nil {
		return Reply{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
	defer cancel()
	r, back, err := c.journal.TakeBackRemoteRequest(ctx, id, raw)
	switch {
	case err != nil:
		return Reply{}, fmt.Errorf("%s, and this could not be taken back: see what came of it with: jwksbot runs: %w", why, err)
	case !back && r.Answer != nil:
		return readReply(r.Answer)
	case !back:
		return outcome(ctx, c.journal, r)
	case !interrupted && r.Takes == 0:
		why += "; another process executes this journal and does not take requests from terminals: is it an older jwksbot, or does it hang?"
	case !interrupted:
		why += "; the process that took it is busy or hangs: its log has more"
	}
	return Reply{}, fmt.Errorf("nothing was done, and nothing will be: %s", why)
}

// asked says whether this process handed a request in, or the request of a run.
func (c *Client) asked(id string) bool {
	_, own := c.own.Load(id)
	return own
}

// opened notes the run that came of a request, if one did.
func (c *Client) opened(request, run string) {
	if run != "" && c.asked(request) {
		c.own.Store(run, true)
	}
}
