package drill

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/telemetry"
)

// leap is real time that a test moves ahead; whoever waits does not notice.
type leap struct{ ahead atomic.Int64 }

func (c *leap) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())).UTC() }

func (c *leap) Wait(ctx context.Context, d time.Duration) error {
	return runbook.SystemClock{}.Wait(ctx, d)
}

// Traffic that lags behind the clock, as on a busy machine, does not look like
// failures that have stopped: a verdict was "healthy" by that.
func TestLogsAndMetricsWaitForTheTraffic(t *testing.T) {
	clock := &leap{}
	w := startWorld(t, Options{Clock: clock})
	logs, err := telemetry.NewLogs(telemetry.LogSettings{AWS: sdk(w), Group: LogGroup, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	clock.ahead.Store(int64(3 * time.Minute))
	now := clock.Now()
	ev, err := logs.Failures(t.Context(), now.Add(-2*time.Minute), now, "")
	if err != nil || ev.Newest.Before(now.Add(-behind-10*time.Second)) {
		t.Errorf("%d failures, the newest at %s, now is %s: %v", len(ev.PerMinute), ev.Newest, now, err)
	}
}
