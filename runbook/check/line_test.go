package check

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// asks runs a check in the background and notes its kid when its turn is over.
func (l *lineUp) asks(kid string, first bool) {
	l.all.Go(func() {
		var err error
		if first {
			_, err = l.runner.First(context.Background(), l.target, Silent{})
		} else {
			_, err = l.runner.Check(context.Background(), l.target, Ask{Kid: kid}, Silent{})
		}
		if err != nil {
			l.t.Errorf("%s: %v", kid, err)
		}
	})
	synctest.Wait()
}

type lineUp struct {
	t      *testing.T
	runner *Runner
	target *Target
	all    sync.WaitGroup

	mu    sync.Mutex
	order []string
}

// newLineUp is a target whose checks take ten seconds each.
func newLineUp(t *testing.T) *lineUp {
	l := &lineUp{t: t, runner: NewRunner(standin.NewClock(), nil), target: fullTarget()}
	l.target.Logs = logsOf(func(ctx context.Context, kid string) (runbook.LogEvidence, error) {
		l.mu.Lock()
		l.order = append(l.order, kid)
		l.mu.Unlock()
		return runbook.LogEvidence{Pages: 1}, l.wait(ctx)
	})
	return l
}

func (l *lineUp) wait(ctx context.Context) error {
	return (runbook.SystemClock{}).Wait(ctx, 10*time.Second)
}

type logsOf func(ctx context.Context, kid string) (runbook.LogEvidence, error)

func (f logsOf) Failures(ctx context.Context, _, _ time.Time, kid string) (runbook.LogEvidence, error) {
	return f(ctx, kid)
}

// Different questions take turns; a request for a mitigation goes before those
// that wait, also when somebody waits for the same check already; and no more
// than eight wait.
func TestChecksOfATargetTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLineUp(t)
		l.asks("k0", false)
		for i := 1; i < maxWaiting; i++ {
			l.asks(fmt.Sprint("k", i), false)
		}
		l.asks("", false) // the plain question, last in line
		_, err := l.runner.Check(t.Context(), l.target, Ask{Kid: "one too many"}, Silent{})
		standin.Refused(t, err, runbook.RefusedBusy, "8 checks of production wait already")
		if err := l.runner.Room(l.target.Name, Ask{Kid: "one too many"}); err == nil {
			t.Error("there is room, it says")
		}
		if err := l.runner.Room(l.target.Name, Ask{Kid: "k3"}); err != nil {
			t.Errorf("what somebody asked already needs no room: %v", err)
		}
		l.asks("request", true) // joins the plain question
		l.all.Wait()
		if got := strings.Join(l.order, " "); got != "k0  k1 k2 k3 k4 k5 k6 k7" {
			t.Errorf("the order was %q", got)
		}
		l.runner.Forget(l.target.Name)
		l.order = nil
		l.asks("k0", false)
		l.asks("k1", false)
		l.asks("request", true)
		l.all.Wait()
		if got := strings.Join(l.order, " "); got != "k0  k1" {
			t.Errorf("the order was %q", got)
		}
	})
}

// However many questions people think of within a short time, what is kept of
// the answers is bounded, and the newest can be planned with.
func TestManyQuestionsAreNotKept(t *testing.T) {
	r := NewRunner(standin.NewClock(), nil)
	target, _ := counting()
	for i := range 20 * maxRemembered {
		checked(t, r, target, Ask{Kid: fmt.Sprint("k", i)})
		if len(r.reports) > maxRemembered {
			t.Fatalf("%d reports are kept", len(r.reports))
		}
	}
	if last := r.Last(target.Name); last == nil {
		t.Error("nothing is left to plan with")
	}
}
