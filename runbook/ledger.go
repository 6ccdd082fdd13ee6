package runbook

import (
	"errors"
	"fmt"
	"time"
)

// AuditEntry is one row of the audit trail.
type AuditEntry struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"` // a person's id, or "jwksbot"
	Kind   string    `json:"kind"`  // "request", "approve", "deny", "refused", "state", "effect", "message", …
	Run    string    `json:"run,omitempty"`
	Target string    `json:"target,omitempty"`
	Ticket string    `json:"ticket,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Digest string    `json:"digest,omitempty"` // of the plan
	Detail string    `json:"detail,omitempty"` // one sentence
}

// AuditSelf is the actor of what the program does by itself.
const AuditSelf = "jwksbot"

// Filter selects runs; zero fields select all.
type Filter struct {
	Target    string
	States    []State
	DueBefore time.Time // NextAt is not zero and not after it
	Unshown   bool      // the message does not show the newest version
	Resource  string
	// ActiveSince leaves out runs that ended before it.
	ActiveSince time.Time
	Limit       int // newest first; 0 means 100
}

// LedgerError says that the ledger could not be read or written, for a reason
// that people outside of the program can mend.
type LedgerError struct {
	Advice string // what is wrong and what to do; names no place
	Away   bool   // it cannot be used for now: it tells the log itself when that begins and ends
	Lost   bool   // its file was deleted or replaced, perhaps with what was decided last
	Err    error  // everything, for the log
}

// Error has the place and the cause.
func (e *LedgerError) Error() string { return e.Err.Error() }

// Unwrap gives what the database said.
func (e *LedgerError) Unwrap() error { return e.Err }

// LedgerAway says that err comes of a ledger that cannot be reached. Work that
// is done again and again need not tell the log of it.
func LedgerAway(err error) bool {
	var l *LedgerError
	return errors.As(err, &l) && l.Away
}

// EntryFate is what became of one entry of a snapshot.
type EntryFate struct {
	Name  string
	Shard string // the one that told it, or, from the journal, the one that it was saved from
	Fate  Fate
}

// BusyError says that another run has the resource to itself.
type BusyError struct {
	Resource string
	Holder   Run
}

// Error says what is busy, and who asked for what is under way.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%s is being changed by run %s (%s, requested by %s); wait for its end",
		e.Resource, e.Holder.ID, e.Holder.State, e.Holder.Requester.Label())
}

// Label is how a person is named in text that is not Slack's.
func (p PersonRef) Label() string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID
}
