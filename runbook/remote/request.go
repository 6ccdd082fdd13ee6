package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// Request is what a terminal asks for; one of the two is set. By and Via are
// never taken from it.
type Request struct {
	Open   *approve.Request `json:"request,omitempty"` // a mitigation
	Decide *approve.Click   `json:"click,omitempty"`   // a decision on a run
}

// Reply is the answer: what came of a request, why it was refused, or what went
// wrong.
type Reply struct {
	Run     string           `json:"run,omitempty"`
	Text    string           `json:"text,omitempty"` // one sentence for the person who decided
	Refusal *runbook.Refusal `json:"refusal,omitempty"`
	Error   string           `json:"error,omitempty"`
}

// lookEvery is how often both sides look into the journal. A look is one
// statement with an index, 0.02 ms on SQLite and 0.1 ms on Postgres: a signal
// would save no more than that, and needs a session of its own on Postgres.
const lookEvery = 250 * time.Millisecond

// writeWithin is how long the last word of either side may take to be written.
const writeWithin = 10 * time.Second

// purpose is what the proof of an identity is bound to. Builds before this one
// use the same text.
func purpose(id string, body []byte) []byte {
	return fmt.Appendf(nil, "jwksbot petition 1\n%s\n%s", id, body)
}

func readRequest(body []byte) (Request, error) {
	var r Request
	if err := json.Unmarshal(body, &r); err != nil {
		return Request{}, fmt.Errorf("the request cannot be read: %w", err)
	}
	return r, nil
}

func readReply(raw []byte) (Reply, error) {
	var r Reply
	if err := json.Unmarshal(raw, &r); err != nil {
		return Reply{}, fmt.Errorf("the answer cannot be read: %w", err)
	}
	switch {
	case r.Refusal != nil:
		return r, r.Refusal
	case r.Error != "":
		return r, errors.New(r.Error)
	}
	return r, nil
}
