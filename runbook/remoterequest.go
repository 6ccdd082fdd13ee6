package runbook

import (
	"encoding/json"
	"errors"
	"time"
)

// RemoteRequest is what somebody at a terminal asks of the process that executes
// runs, as the journal keeps it: for one executor after the other until it is
// answered, and carried out once.
type RemoteRequest struct {
	ID    string
	Body  json.RawMessage // what is asked for
	Proof string          // of who asks; erased when it was answered
	At    time.Time
	Takes int // how many executors have taken it, one after the other

	Run    string          // the run that was created or changed for it, "" while none was
	Answer json.RawMessage // nil: none yet
}

var (
	// ErrUnknownRequest says that no remote request has the id.
	ErrUnknownRequest = errors.New("no such request from a terminal")
	// ErrRequestOver says that nothing more may be done for a remote request: who
	// asked has taken it back, or another executor has it.
	ErrRequestOver = errors.New("the request was taken back or taken over")
	// ErrNotExecutor says that this process does not, or no longer, execute runs.
	ErrNotExecutor = errors.New("this process does not execute the journal")
)
