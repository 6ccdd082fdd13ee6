package socket

import "context"

// Receiver is what a [Client] delivers to.
type Receiver interface {
	// Accept reads an envelope and says what it leads to. It is called before
	// the acknowledgement is written, so it computes and does no I/O; after
	// Settings.AcceptWithin the envelope is acknowledged without it.
	Accept(Envelope) Work
}

// Work is what an envelope leads to. The zero value is nothing at all.
type Work struct {
	Lane   Lane
	Person string // whose work it is; that of "" is bounded by the lane alone
	// Reply is the payload of the acknowledgement, nil for none: the private
	// first answer to a command, or the errors of a submitted view. It is left
	// out where Slack accepts none.
	Reply any
	// Do does the work; nil: the reply is all of it. It starts after the
	// acknowledgement was written, in a goroutine of its own, in no particular
	// order and at most once per delivery. ctx outlives the context of Run by
	// the lane's Limits.Drain, so that work under way can end.
	Do func(ctx context.Context)
}
