package check

import "context"

// Check is one read-only step. It changes nothing, honours the context,
// returns what it has also when it fails, and never logs.
type Check interface {
	Name() string
	Run(ctx context.Context, q Question) (Result, error)
}

// Reporter follows a check as it proceeds. Its methods are called one at a time.
type Reporter interface {
	// Started gets the names of the steps that will run.
	Started(target string, steps []string)
	// Step gets each result as it comes.
	Step(r Result)
}

// Silent is a Reporter that ignores everything.
type Silent struct{}

// Started ignores the plan.
func (Silent) Started(string, []string) {}

// Step ignores the result.
func (Silent) Step(Result) {}
