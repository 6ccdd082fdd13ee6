package cache

import (
	"errors"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
)

// Before a batch is sent the caller has agreed a moment ago: a process that was
// stopped since may have been replaced.
func TestDeletionAsksWhenItsPermissionIsOld(t *testing.T) {
	stopped := errors.New("another process executes this run")
	for _, c := range []struct {
		name string
		age  time.Duration // of the last word
		took time.Duration // by each question
		done error
		want string // "" is yes
		asks int
	}{
		{"just agreed", agreedFor, 0, nil, "", 0},
		{"agreed a while ago", agreedFor + time.Millisecond, 0, nil, "", 1},
		{"stopped, and replaced", time.Hour, 0, stopped, stopped.Error(), 1},
		{"slow, but not too slow", time.Hour, sendWithin, nil, "", askTimes},
		{"too slow to act on the answer", time.Hour, sendWithin + 1, nil, "nothing was sent", askTimes},
	} {
		now, asks := time.Now(), 0
		d := &deletion{told: map[string]runbook.Fate{}, asked: now, now: func() time.Time { return now }}
		d.done = func(batch []Result) error {
			asks++
			now = now.Add(c.took)
			if len(batch) != 0 {
				t.Errorf("%s: asked with %v", c.name, batch)
			}
			return c.done
		}
		now = now.Add(c.age)
		err := d.ask()
		if asks != c.asks || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: asked %d times, %v", c.name, asks, err)
		}
	}
}
