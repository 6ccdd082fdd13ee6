package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// The same complaint is written once a minute, with how often it was left out;
// anything else is written each time.
func TestRepeats(t *testing.T) {
	var out bytes.Buffer
	h := newRepeats(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	now := time.Unix(0, 0)
	h.said.now = func() time.Time { return now }
	log := slog.New(h)
	for i, c := range []struct {
		after time.Duration
		say   func()
		want  string // "" is left out
	}{
		{0, func() { log.Error("due runs", "error", errors.New("disk full")) }, `level=ERROR msg="due runs" error="disk full"`},
		{time.Second, func() { log.Error("due runs", "error", errors.New("disk full")) }, ""},
		{0, func() { log.Error("due runs", "error", errors.New("disk broken")) }, `error="disk broken"`},
		{0, func() { log.Warn("due runs", "error", errors.New("disk full")) }, `level=WARN msg="due runs"`},
		{0, func() { log.With("run", "r1").Error("due runs", "error", errors.New("disk full")) }, `run=r1 error="disk full"`},
		{0, func() { log.With("run", "r1").Error("due runs", "error", errors.New("disk full")) }, ""},
		{0, func() { log.WithGroup("g").Error("due runs", "error", errors.New("disk full")) }, `g.error="disk full"`},
		{0, func() { log.Info("decided") }, "decided"},
		{0, func() { log.Info("decided") }, "decided"},
		{57 * time.Second, func() { log.Error("due runs", "error", errors.New("disk full")) }, ""},
		{2 * time.Second, func() { log.Error("due runs", "error", errors.New("disk full")) }, `error="disk full" repeated=2`},
		{time.Second, func() { log.Error("due runs", "error", errors.New("disk full")) }, ""},
		{time.Hour, func() { log.Error("another") }, "another"},
		{0, func() { log.Error("due runs", "error", errors.New("disk full")) }, `error="disk full"`},
	} {
		now = now.Add(c.after)
		out.Reset()
		c.say()
		if got := out.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Contains(got, "repeated") != strings.Contains(c.want, "repeated") {
			t.Errorf("%d: %q, want %q", i, got, c.want)
		}
	}
	if len(h.said.lines) != 2 {
		t.Errorf("%d lines are kept", len(h.said.lines))
	}
}
