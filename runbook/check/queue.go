package check

import "jwksbot/runbook"

// maxWaiting is how many checks with a question of their own may wait for one
// target. Who asks what somebody else asks already waits for no turn.
const maxWaiting = 8

// line is who waits to check a target: one check runs at a time, whatever the
// question, so that different questions together cannot drain the account's log
// quota either. Runner.mu guards it.
type line struct {
	busy   bool
	first  []chan struct{} // of requests for a mitigation
	others []chan struct{} // of checks
}

// full refuses another check while too many wait.
func (l *line) full(target string) error {
	if len(l.others) < maxWaiting {
		return nil
	}
	return runbook.Refuse(runbook.RefusedBusy, "%d checks of %s wait already, so this one was not started. Try again in a minute.", len(l.others), target)
}

// join returns a turn: a channel that is closed when the check may run.
func (l *line) join(first bool) chan struct{} {
	turn := make(chan struct{})
	switch {
	case !l.busy:
		l.busy = true
		close(turn)
	case first:
		l.first = append(l.first, turn)
	default:
		l.others = append(l.others, turn)
	}
	return turn
}

// hurry puts a turn that waits among the checks before all of them, since a
// request for a mitigation waits for it now.
func (l *line) hurry(turn chan struct{}) {
	for i, t := range l.others {
		if t == turn {
			l.others = append(l.others[:i:i], l.others[i+1:]...)
			l.first = append(l.first, turn)
			return
		}
	}
}

// next ends a turn and begins the one after it.
func (l *line) next() {
	for _, q := range []*[]chan struct{}{&l.first, &l.others} {
		if len(*q) > 0 {
			close((*q)[0])
			*q = (*q)[1:]
			return
		}
	}
	l.busy = false
}
