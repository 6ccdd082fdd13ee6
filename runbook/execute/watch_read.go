package execute

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
)

// minutes reads one point for each minute from since to until that is known. A
// minute without one could not be read, or had no traffic. note says what the
// sources cannot tell, "" when nothing is in the way.
func minutes(ctx context.Context, t *check.Target, since, until time.Time) (points []runbook.RatioPoint, note string) {
	ctx, cancel := context.WithTimeout(ctx, check.StepDeadline)
	defer cancel()
	var notes []string
	logged, err := loggedFailures(ctx, t, since, until)
	if err != nil {
		notes = append(notes, fmt.Sprintf("the failures of this minute cannot be read: %v", err))
	}
	if t.Meter == nil || t.API == nil {
		notes = append(notes, "without the gateway's metrics failures are counted, but not their share: set gateway.rest_api or gateway.http_api")
		for m := since; m.Before(until); m = m.Add(time.Minute) {
			if n, ok := logged[m.Unix()]; ok {
				points = append(points, runbook.RatioPoint{At: m, Failures: n})
			}
		}
		return points, strings.Join(notes, "; ")
	}
	traffic, repeats, err := gatewayMinutes(ctx, t, since, until)
	if err != nil {
		return nil, strings.Join(append(notes, fmt.Sprintf("the requests of this minute cannot be read: %v", err)), "; ")
	}
	denied := 1.0
	if repeats || t.Logs == nil {
		var why string
		denied, why = deniedShare(ctx, t, traffic, since, until)
		notes = append(notes, why)
	}
	for _, g := range traffic {
		at := g.At.Truncate(time.Minute)
		n, known := logged[at.Unix()]
		if repeats || t.Logs == nil {
			// What the result cache answers is in no log of the authoriser.
			n, known = math.Max(n, g.ClientErrors*denied), true
		}
		if known && !at.Before(since) && at.Before(until) {
			points = append(points, runbook.RatioPoint{At: at, Failures: n, Requests: g.Requests})
		}
	}
	return points, strings.Join(notes, "; ")
}

// loggedFailures are the signature and key failures by minute. A count that was
// capped is at least that; minutes before the cap are not known.
func loggedFailures(ctx context.Context, t *check.Target, since, until time.Time) (map[int64]float64, error) {
	if t.Logs == nil {
		return nil, nil
	}
	ev, err := t.Logs.Failures(ctx, since, until, "")
	if err != nil {
		return nil, err
	}
	minutes := ev.KeyMinutes
	if minutes == nil {
		minutes = ev.PerMinute
	}
	out := make(map[int64]float64, len(minutes))
	if !ev.AtLeast {
		for m := since; m.Before(until); m = m.Add(time.Minute) {
			out[m.Unix()] = 0
		}
	}
	for _, m := range minutes {
		out[m.At.Truncate(time.Minute).Unix()] = float64(m.Count)
	}
	return out, nil
}

// gatewayMinutes reads the requests, and says whether the gateway may repeat
// denials from its result cache.
func gatewayMinutes(ctx context.Context, t *check.Target, since, until time.Time) (points []runbook.GatewayPoint, repeats bool, err error) {
	setup, err := t.API.Setup(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, a := range setup.Authorisers {
		repeats = repeats || a.ResultTTL > 0 || a.Managed()
	}
	points, err = t.Meter.Gateway(ctx, setup, since, until)
	return points, repeats, err
}

// deniedShare is how much of the gateway's 4xx are denials: by the access log
// where there is one, else all of them.
func deniedShare(ctx context.Context, t *check.Target, traffic []runbook.GatewayPoint, since, until time.Time) (share float64, note string) {
	all := 0.0
	for _, g := range traffic {
		all += g.ClientErrors
	}
	const rough = "denials that the gateway repeats from its result cache are counted by its 4xx answers, which may include others"
	if t.Access == nil || all == 0 {
		return 1, rough
	}
	denied, atLeast, err := t.Access.Denied(ctx, since, until)
	if err != nil || atLeast {
		return 1, rough
	}
	return math.Min(1, float64(denied)/all), "denials are counted by the gateway's access log"
}
