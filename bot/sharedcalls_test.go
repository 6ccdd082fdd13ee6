package bot

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook/approve"
)

const groupUsers = "usergroups.users.list"

// made ago lets every answer that the directory has be older.
func (q *sharedCalls[T]) made(ago time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.calls {
		c.started = c.started.Add(-ago)
	}
}

// TestOneCallForABurst: fifty clicks at once cost one call, and what is older
// than five seconds is asked anew.
func TestOneCallForABurst(t *testing.T) {
	d, sim := directoryOf(t, slacksim.Options{})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if g, err := d.Members(t.Context(), "S0LEADS", true); err != nil || !slices.Contains(g.Members, samID) {
				t.Errorf("%v, %v", g, err)
			}
			if p, err := d.Person(t.Context(), robinID); err != nil || p.Kind != approve.KindMember {
				t.Errorf("%v, %v", p, err)
			}
		})
	}
	all.Wait()
	if g, p := len(sim.Calls(groupUsers)), len(sim.Calls("users.info")); g != 1 || p != 1 {
		t.Errorf("the group was asked for %d times in one burst, the person %d times", g, p)
	}
	d.groups.made(freshFor)
	sim.SetGroup("S0LEADS", noorID)
	if g, err := d.Members(t.Context(), "S0LEADS", false); err != nil || !slices.Contains(g.Members, samID) {
		t.Errorf("a list for display: %v, %v", g, err)
	}
	if g, err := d.Members(t.Context(), "S0LEADS", true); err != nil || slices.Contains(g.Members, samID) {
		t.Errorf("a list that decides: %v, %v", g, err)
	}
	if g, err := d.Members(t.Context(), "S0NONE", true); err != nil || len(g.Members) != 0 {
		t.Errorf("a group that does not exist: %v, %v", g, err)
	}
}

// TestAnAnswerThatTookTooLong: whoever joined a call whose answer came after
// more than five seconds gets the answer of another one.
func TestAnAnswerThatTookTooLong(t *testing.T) {
	q := newSharedCalls[int]("test")
	calls, came := 0, make(chan struct{}) // one call at a time: no lock
	call := func(context.Context) (int, error) {
		if calls++; calls == 1 {
			close(came)
			q.made(freshFor)
		}
		return calls, nil
	}
	if n, err := q.do(t.Context(), "x", freshFor, call); n != 2 || err != nil {
		t.Errorf("answer %d, %v", n, err)
	}
	<-came
}

// TestWhoGivesUpLeavesTheCall: the deadline of one who waits ends no call of
// others.
func TestWhoGivesUpLeavesTheCall(t *testing.T) {
	q := newSharedCalls[string]("test")
	asked, answer := make(chan struct{}), make(chan struct{})
	call := func(context.Context) (string, error) {
		close(asked)
		<-answer
		return "yes", nil
	}
	hasty, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := q.do(hasty, "x", freshFor, call)
		left <- err
	}()
	<-asked
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up got %v", err)
	}
	close(answer)
	if got, err := q.do(t.Context(), "x", freshFor, call); got != "yes" || err != nil {
		t.Errorf("who stayed got %q, %v", got, err)
	}
}

// TestWhatSlackDoesNotAnswer: a limit is told as such, with its time and
// without asking again; an outage is silence; a refusal of the token is
// neither.
func TestWhatSlackDoesNotAnswer(t *testing.T) {
	d, sim := directoryOf(t, slacksim.Options{})
	ask := func() (*approve.Unanswered, error) {
		_, err := d.Members(t.Context(), "S0LEADS", true)
		var why *approve.Unanswered
		errors.As(err, &why)
		return why, err
	}
	sim.Outage(true)
	if why, err := ask(); why == nil || why.Limited {
		t.Errorf("an outage: %v", err)
	}
	sim.Outage(false)
	sim.Fail(groupUsers, 1, "token_revoked")
	if why, err := ask(); why != nil || slackCode(err) != "token_revoked" {
		t.Errorf("a token that does not count: %v", err)
	}
	sim.RateLimit(groupUsers, 1, 30*time.Second)
	before := len(sim.Calls(groupUsers))
	for range 3 {
		if why, err := ask(); why == nil || !why.Limited || why.After <= 20*time.Second || why.After > 30*time.Second {
			t.Errorf("a limit: %+v, %v", why, err)
		}
	}
	if n := len(sim.Calls(groupUsers)) - before; n != 1 {
		t.Errorf("asked %d times while Slack wants patience", n)
	}
}
