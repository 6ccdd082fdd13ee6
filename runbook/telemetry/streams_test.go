package telemetry

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook"
)

// logStream is an execution environment as DescribeLogStreams shows it.
type logStream struct {
	Name    string `json:"logStreamName"`
	Created int64  `json:"creationTime"`
	First   int64  `json:"firstEventTimestamp,omitempty"`
	Last    int64  `json:"lastEventTimestamp,omitempty"`
}

// stream wrote from one second to another, counted from t0; below zero is
// before the restart.
func stream(name string, first, last int) logStream {
	return logStream{name, at(first, "").Timestamp, at(first, "").Timestamp, at(last, "").Timestamp}
}

func TestStreams(t *testing.T) {
	for _, tt := range []struct {
		name     string
		streams  [][]logStream
		events   []logEvent
		want     runbook.LogStreams
		requests int
	}{
		{
			"new and old ones, over two pages; the third is not needed",
			[][]logStream{
				{stream("new-2", 40, 90), stream("old-busy", -900, 80)},
				{stream("new-1", 20, 60), stream("old-silent", -900, -10)},
				{stream("older", -9000, -5000)},
			},
			nil, runbook.LogStreams{New: 2, Newest: t0.Add(40 * time.Second), Old: 1}, 2,
		},
		{
			"a stream that began in the very moment is no new one",
			[][]logStream{{stream("same", 0, 10), stream("new", 1, 5)}},
			nil, runbook.LogStreams{New: 1, Newest: t0.Add(time.Second), Old: 1}, 1,
		},
		{
			"created, no event listed yet",
			[][]logStream{{{Name: "new", Created: at(5, "").Timestamp}}},
			nil, runbook.LogStreams{New: 1, Newest: t0.Add(5 * time.Second)}, 1,
		},
		{
			"the listing lags behind the events",
			[][]logStream{{stream("old", -900, -10)}},
			[]logEvent{
				{at(50, "").Timestamp, "INIT_START Runtime Version: nodejs:22.v5", "new-2"},
				{at(45, "").Timestamp, "INIT_START Runtime Version: nodejs:22.v5", "new-1"},
				{at(40, "").Timestamp, "INIT_START Runtime Version: nodejs:22.v5", "old"}, // its process died, the environment stayed
			},
			runbook.LogStreams{New: 2, Newest: t0.Add(50 * time.Second)}, 2,
		},
		{"nothing at all", nil, nil, runbook.LogStreams{}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &logService{streams: tt.streams, pages: [][]logEvent{tt.events}}
			l := newTestLogs(t, s, nil)
			got, err := l.Streams(t.Context(), t0)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("streams (-want +got):\n%s", d)
			}
			if n := len(s.requests); n < tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
			for _, in := range s.requests {
				switch in["operation"] {
				case "DescribeLogStreams":
					if in["orderBy"] != "LastEventTime" || in["descending"] != true || in["logGroupName"] != "/aws/lambda/authoriser" {
						t.Errorf("asked for %v", in)
					}
				case "FilterLogEvents":
					if in["filterPattern"] != `?INIT_START ?"platform.initStart"` || in["startTime"].(float64) <= float64(t0.UnixMilli()) {
						t.Errorf("asked for %v", in)
					}
				}
			}
		})
	}
}

// A function with more environments than that is read in part.
func TestStreamsIsBounded(t *testing.T) {
	var pages [][]logStream
	for i := range streamPages + 5 {
		pages = append(pages, []logStream{stream(fmt.Sprint(i), 10, 20)})
	}
	l := newTestLogs(t, &logService{streams: pages}, nil)
	l.api = newGroup(awsConfig(t, &logService{streams: pages}), fastPace(), "g", "", "").api
	got, err := l.Streams(t.Context(), t0)
	if err != nil || got.New != streamPages {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestStreamsMayNotBeRead(t *testing.T) {
	l := newTestLogs(t, &logService{fail: "AccessDeniedException", failFrom: 1}, nil)
	_, err := l.Streams(t.Context(), t0)
	if want := "allow logs:DescribeLogStreams on arn:aws:logs:eu-west-2:ACCOUNT:log-group:/aws/lambda/authoriser:*"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}
