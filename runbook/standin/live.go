package standin

import (
	"context"
	"sync"

	"jwksbot/runbook"
)

// Disagreeing are two edges that serve different keys.
func Disagreeing(n int) runbook.Probe {
	if n%2 == 0 {
		return Good("a=1")
	}
	return Good("b=2")
}

// Live answers with what the test says is published.
type Live struct {
	mu     sync.Mutex
	Answer func(n int) runbook.Probe
	n      int
}

// Probe answers as the test says.
func (l *Live) Probe(context.Context) runbook.Probe {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	return l.Answer(l.n)
}

// Become makes it answer otherwise.
func (l *Live) Become(answer func(n int) runbook.Probe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Answer = answer
}

// Good serves the keys.
func Good(words ...string) runbook.Probe {
	return runbook.Probe{Status: 200, ContentType: "application/json", Set: Set(words...)}
}

// Bad has a problem.
func Bad(problem string) runbook.Probe { return runbook.Probe{Status: 503, Problem: problem} }

// Unreachable did not answer.
func Unreachable(problem string) runbook.Probe {
	return runbook.Probe{Unreachable: true, Problem: problem}
}

// Always answers the same.
func Always(p runbook.Probe) func(int) runbook.Probe { return func(int) runbook.Probe { return p } }
