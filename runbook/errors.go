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

// Plain is an error whose text is whole: it says what happened and what to do.
// What wraps it on its way up adds nothing for the person who reads it.
type Plain struct {
	Text string
	Err  error // the chain behind it
}

// Error is the text alone.
func (p *Plain) Error() string { return p.Text }

// Unwrap returns the chain behind the text.
func (p *Plain) Unwrap() error { return p.Err }

// Plainly returns the plain error in a chain; err itself where there is none.
func Plainly(err error) error {
	var p *Plain
	if errors.As(err, &p) {
		return p
	}
	return err
}
