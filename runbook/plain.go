package runbook

import "errors"

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
