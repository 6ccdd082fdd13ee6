package runbook

import "errors"

// Denied is an error of something that a system refused for certain: a right is
// missing, a command is switched off, the server takes no writes. The call
// changed nothing, and no repetition changes the answer.
type Denied struct{ Err error }

// Error is the text of what was refused.
func (d *Denied) Error() string { return d.Err.Error() }

// Unwrap returns what was refused.
func (d *Denied) Unwrap() error { return d.Err }

// IsDenied says that something was refused for certain.
func IsDenied(err error) bool {
	var d *Denied
	return errors.As(err, &d)
}
