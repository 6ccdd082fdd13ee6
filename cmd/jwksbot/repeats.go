package main

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"
)

// repeatEvery is how often the same complaint is in the log.
const repeatEvery = time.Minute

// repeats keeps the log readable while something is wrong for a long time: a
// warning or an error that repeats another one, word for word and with the same
// attributes, is written once a minute, with how many were left out. What
// differs in anything is never left out.
type repeats struct {
	slog.Handler
	with string // attributes and groups of a logger, in its key
	said *said
}

// said is what was written lately, by one logger and all that come from it.
type said struct {
	now func() time.Time

	mu    sync.Mutex
	lines map[string]line
	swept time.Time
}

type line struct {
	at   time.Time
	left int // left out since
}

func newRepeats(h slog.Handler) repeats {
	return repeats{Handler: h, said: &said{now: time.Now, lines: map[string]line{}}}
}

// Handle writes a record, or counts it.
func (h repeats) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return h.Handler.Handle(ctx, r)
	}
	key := strings.Builder{}
	key.WriteString(r.Level.String() + h.with + "\n" + r.Message)
	r.Attrs(func(a slog.Attr) bool {
		key.WriteString("\n" + a.String())
		return true
	})
	left, again := h.said.again(key.String())
	if again {
		return nil
	}
	if left > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("repeated", left))
	}
	return h.Handler.Handle(ctx, r)
}

// again says whether a line was written within the last minute, and how many
// of it were left out before that.
func (s *said) again(key string) (left int, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	before, known := s.lines[key]
	if known && now.Sub(before.at) < repeatEvery {
		before.left++
		s.lines[key] = before
		return 0, true
	}
	if now.Sub(s.swept) >= repeatEvery {
		s.swept = now
		maps.DeleteFunc(s.lines, func(_ string, l line) bool { return now.Sub(l.at) >= 2*repeatEvery })
	}
	s.lines[key] = line{at: now}
	return before.left, false
}

// WithAttrs and WithGroup keep apart what loggers of different attributes say.
func (h repeats) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := h.with
	for _, a := range attrs {
		with += "\n" + a.String()
	}
	return repeats{h.Handler.WithAttrs(attrs), with, h.said}
}

// WithGroup is part of slog.Handler.
func (h repeats) WithGroup(name string) slog.Handler {
	return repeats{h.Handler.WithGroup(name), h.with + "\n" + name + ".", h.said}
}
