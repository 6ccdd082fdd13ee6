package runbook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestDurationsAsPeopleSayThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 4 * time.Millisecond: "4 ms", time.Second: "1 s", 40 * time.Second: "40 s", 119 * time.Second: "119 s",
		2 * time.Minute: "2 min", 43*time.Minute + 20*time.Second: "43 min", 2 * time.Hour: "2 h", 2*time.Hour + 5*time.Minute: "2 h 5 min",
		47*time.Hour + 59*time.Minute: "47 h 59 min", 72 * time.Hour: "3 days",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%s is said as %q, want %q", time.Duration(d), got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 41210: "41,210", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// Names come from caches and tokens: they must not end the code marks, and a
// long list must not fill a message.
func TestQuotedNames(t *testing.T) {
	for in, want := range map[string]string{
		"a": "`a`", "a`b": "`a'b`", "a\nb\x00": "`a b `", "a+/=_.-": "`a+/=_.-`", strings.Repeat("é", 500): "`" + strings.Repeat("é", maxQuoted) + "…`",
	} {
		if got := quote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if got := quoteAll([]string{"a", "b", "c", "d", "e", "f"}); got != "`a`, `b`, `c`, `d` and 2 more" {
		t.Errorf("got %s", got)
	}
}

func TestSecretsHide(t *testing.T) {
	const value = "hunter2hunter2"
	s := Secret(value)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("connect", "password", s, "settings", struct{ P Secret }{s})
	b, err := json.Marshal(map[string]any{"p": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, struct{ P Secret }{s}, s, s, s), log.String(), string(b)} {
		if strings.Contains(out, value) || !strings.Contains(out, hidden) {
			t.Errorf("got %s", out)
		}
	}
	if s.Reveal() != value || Secret("").String() != "" {
		t.Error("reveal, or the empty secret")
	}
}

// What a step alone calls fine, the verdict knows to be old.
func TestStepsAreJudgedByTheVerdict(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        Status
		says        string
	}{
		{"live", "keys b=2", StatusOK, "all live"},
		{"old", "keys a=1", StatusFail, "lacks live key `b`"},
		{"rekeyed", "keys b=9", StatusFail, "another key under live kid `b`"},
		{"retired", "keys a=1 b=2", StatusWarn, "retired key `a` is still cached"},
		{"poisoned", "<html>", StatusFail, "no key set"},
		{"strange", "?? 1", StatusWarn, "it is in an unknown format"},
	} {
		o := newOffice(t)
		o.cache.set("jwks:current", c.value)
		s := check(t, o.runner, o.target, Ask{}).Steps[1]
		if s.Status != c.want || !strings.Contains(s.Summary, c.says) {
			t.Errorf("%s: %s %q", c.name, s.Status, s.Summary)
		}
	}
}

// Exit codes are an interface: 0 healthy, 1 a problem, 2 could not tell.
func TestExitCodes(t *testing.T) {
	for _, c := range verdictCases {
		want := 1
		switch c.want {
		case Healthy:
			want = 0
		case Inconclusive, CacheUnreadable:
			want = 2
		}
		if got := (Report{Diagnosis: Diagnose(c.e)}).ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, want)
		}
	}
}
