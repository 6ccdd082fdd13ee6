package runbook

import "fmt"

// Refusal is a "no" to the person who asked: Text is a whole sentence for
// them, Code is for records and tests, People are ids of users and groups who
// could do what was refused.
type Refusal struct {
	Code   string
	Text   string
	People []string
}

// Error is the sentence for the person who was refused.
func (r *Refusal) Error() string { return r.Text }

// Refuse is a refusal with the code and the sentence.
func Refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Codes of refusals that more than one room gives.
const (
	RefusedKind    = "not_a_member"
	RefusedBusy    = "busy"
	RefusedUnsafe  = "unsafe"
	RefusedNothing = "nothing_to_do"
	RefusedChanged = "world_changed"
	RefusedUnread  = "could_not_read"
	RefusedRestart = "no_restart" // the function cannot be restarted as it stands
)
