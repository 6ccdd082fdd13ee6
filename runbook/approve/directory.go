package approve

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"jwksbot/runbook"
)

// Directory knows people and groups: who somebody is, and who is in a group.
// What it says is never older than a few seconds, except the members of a group
// where that need not be fresh. When it cannot be asked it returns *Unanswered.
type Directory interface {
	Person(ctx context.Context, id string) (Person, error)
	Members(ctx context.Context, group string, fresh bool) (Group, error)
}

// Person is somebody who acts, as the directory knows them.
type Person struct {
	runbook.PersonRef
	Kind Kind
	// Said is when the directory said so, where it could not be asked now; zero:
	// it was.
	Said time.Time
}

// Group is who is in a user group.
type Group struct {
	Members []string
	Said    time.Time // as of a Person
}

// Unanswered is why a directory did not answer: it cannot be reached, or it
// asks for patience.
type Unanswered struct {
	Limited bool          // it was asked and limits how often
	After   time.Duration // when to ask again, if Limited
	Advice  string        // what would help, in a sentence; "" is time
	Err     error
}

// Error is what went wrong.
func (u *Unanswered) Error() string { return u.Err.Error() }

// Unwrap gives the cause.
func (u *Unanswered) Unwrap() error { return u.Err }

// silent is the error of a LastWord that has none that counts: it comes with
// the last one that there is, of whatever age.
type silent struct {
	*Unanswered
	last time.Time // of that word; zero: there is none
}

// Unwrap gives why the directory did not answer.
func (s *silent) Unwrap() error { return s.Unanswered }

// standsFor is how long the last word of a directory stands while it cannot be
// asked.
const standsFor = 15 * time.Minute

// sayings keeps what a directory said last, for all processes and over restarts.
type sayings interface {
	KeepSaid(ctx context.Context, subject string, answer []byte, at time.Time) error
	LastSaid(ctx context.Context, subject string) (answer []byte, at time.Time, err error)
}

// RememberingDirectory is a directory whose last word stands for 15 minutes while it cannot
// be asked. One that limits how often it is asked is not silent: then its last
// word is not used.
type RememberingDirectory struct {
	Directory Directory
	Memory    sayings
	Clock     runbook.Clock
	// Within is how long an answer is waited for, in real time.
	Within time.Duration
	// Failed is told when an answer could not be kept; may be nil.
	Failed func(error)
}

// Person asks who somebody is.
func (w *RememberingDirectory) Person(ctx context.Context, id string) (Person, error) {
	asked, cancel := context.WithTimeout(ctx, w.Within)
	defer cancel()
	p, err := w.Directory.Person(asked, id)
	if err == nil {
		w.keep(ctx, id, p)
		return p, nil
	}
	said, err := w.last(ctx, id, &p, err)
	p.ID, p.Said = id, said
	if p.Kind == "" {
		p.Kind = KindUnknown
	}
	return p, err
}

// Members asks who is in a group.
func (w *RememberingDirectory) Members(ctx context.Context, group string, fresh bool) (Group, error) {
	asked, cancel := context.WithTimeout(ctx, w.Within)
	defer cancel()
	g, err := w.Directory.Members(asked, group, fresh)
	if err == nil {
		if fresh { // else it may have been said long ago
			w.keep(ctx, group, g)
		}
		return g, nil
	}
	g.Said, err = w.last(ctx, group, &g, err)
	return g, err
}

func (w *RememberingDirectory) keep(ctx context.Context, subject string, answer any) {
	raw, err := json.Marshal(answer)
	if err == nil {
		err = w.Memory.KeepSaid(ctx, subject, raw, w.Clock.Now())
	}
	if err != nil && w.Failed != nil && ctx.Err() == nil {
		w.Failed(err)
	}
}

// last reads the last word into answer, if the directory is silent, and returns
// when it was said. It is an error when that is too long ago.
func (w *RememberingDirectory) last(ctx context.Context, subject string, answer any, err error) (time.Time, error) {
	var why *Unanswered
	switch {
	case ctx.Err() != nil:
		return time.Time{}, ctx.Err()
	case errors.As(err, &why):
	case errors.Is(err, context.DeadlineExceeded):
		why = &Unanswered{Err: err}
	default:
		return time.Time{}, err
	}
	if why.Limited {
		return time.Time{}, why
	}
	raw, at, merr := w.Memory.LastSaid(ctx, subject)
	if merr != nil {
		return time.Time{}, errors.Join(err, merr)
	}
	if raw == nil {
		return time.Time{}, &silent{Unanswered: why}
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return time.Time{}, err
	}
	if w.Clock.Now().Sub(at) >= standsFor {
		return at, &silent{why, at}
	}
	return at, nil
}
