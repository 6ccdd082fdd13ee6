package bot

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

func TestParseLine(t *testing.T) {
	hour := check.DefaultWindow
	for _, c := range []struct {
		line  string
		want  line
		wrong string
	}{
		{"/jwks-check", line{since: hour}, ""},
		{"/jwks-check  production\tsince=15m ", line{target: "production", since: 15 * time.Minute}, ""},
		{"/jwks-check since=24h kid=a+b/c==", line{since: 24 * time.Hour, kid: "a+b/c=="}, ""},
		{"/jwks-check kid=a=b production", line{target: "production", since: hour, kid: "a=b"}, ""},
		{"/jwks-check since=24h1s", line{}, "not a duration between 1m and 24h"},
		{"/jwks-check since=-1h", line{}, "not a duration"},
		{"/jwks-check since=", line{}, "not a duration"},
		{"/jwks-check since=yesterday", line{}, "“since=yesterday”"},
		{"/jwks-check kid=", line{}, "Unknown option “kid=”"},
		{"/jwks-check production staging", line{}, "Unexpected “staging”"},
		{"/jwks-check report", line{verb: "report", since: hour}, ""},
		{"/jwks-check report 0214-k7m2p9qx", line{verb: "report", target: "0214-k7m2p9qx", since: hour}, ""},
		{"/jwks-check report a b", line{}, "takes at most one run or target"},
		{"/jwks-flush production INC-1 keys --restart rotated --gateway", line{target: "production", ticket: "INC-1", reason: "keys rotated", restart: true, gateway: true, since: hour}, ""},
		{"/jwks-flush --no-flush —restart INC-1 x", line{ticket: "INC-1", reason: "x", restart: true, noFlush: true, since: hour}, ""},
		{"/jwks-flush INC-1 rotated – and then —gone -- yes", line{ticket: "INC-1", reason: "rotated – and then —gone -- yes", since: hour}, ""},
		{"/jwks-flush --direct", line{direct: true, since: hour}, ""},
		{"/jwks-flush INC-1 x --no-flush", line{}, "Without a flush there is nothing to do"},
		{"/jwks-flush INC-1 x --restrat", line{}, "Unknown option “--restrat”"},
		{"/jwks-check " + strings.Repeat("x", maxLine+1), line{}, "too long"},
		{"/jwks-check HELP", line{verb: "help", since: hour}, ""},
		{"/jwks-check status staging", line{verb: "status", target: "staging", since: hour}, ""},
		{"/jwks-flush history a b", line{}, "takes at most one target"},
		{"/jwks-flush", line{since: hour}, ""},
		{"/jwks-flush staging", line{target: "staging", since: hour}, ""},
		{"/jwks-flush INC-1 keys  rotated", line{ticket: "INC-1", reason: "keys rotated", since: hour}, ""},
		{"/jwks-flush staging chg-2 a &lt;b&gt; &amp;amp; c", line{target: "staging", ticket: "chg-2", reason: "a <b> &amp; c", since: hour}, ""},
		{"/jwks-flush production because", line{}, "“because” is not a ticket"},
	} {
		command, text, _ := strings.Cut(c.line, " ")
		got, _, err := parseLine(command, text)
		c.want.command = command
		switch {
		case c.wrong == "" && err != nil:
			t.Errorf("%s: %v", c.line, err)
		case c.wrong == "" && got != c.want:
			t.Errorf("%s: %+v, want %+v", c.line, got, c.want)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%.60s: error %v, want %q", c.line, err, c.wrong)
		}
	}
}

// Whatever is typed, the parser answers with a finished sentence that mentions
// nobody and repeats no token, or with what was meant.
func FuzzParseLine(f *testing.F) {
	for _, s := range []string{"", "production since=2h kid=Zm9v+/8=", "INC-1 &lt;!channel&gt; x", "<!here> `", "since=9999999999h", "status a b", "\xff\xfe kid=\xff",
		"x " + sampleToken, "kid=" + sampleToken, "production " + sampleToken + " y"} {
		f.Add(true, s)
		f.Add(false, s)
	}
	f.Fuzz(func(t *testing.T, isCheck bool, text string) {
		command := commandFlush
		if isCheck {
			command = commandCheck
		}
		a, does, err := parseLine(command, text)
		if err != nil {
			var u *usageError
			if !errors.As(err, &u) {
				t.Fatalf("error %T", err)
			}
			if strings.ContainsAny(err.Error(), "<>") {
				t.Fatalf("a bracket that could mention somebody in %q", err)
			}
			if strings.Contains(err.Error(), sampleToken) || !utf8.ValidString(err.Error()) || utf8.RuneCountInString(err.Error()) > 400 {
				t.Fatalf("the answer is %q", err)
			}
			return
		}
		if a.since < check.MinWindow || a.since > check.MaxWindow || does.run == nil {
			t.Fatalf("%+v", a)
		}
		if a.ticket != "" && approve.CheckTicket(a.ticket) != nil {
			t.Fatalf("ticket %q", a.ticket)
		}
		for _, w := range []string{a.target, a.kid, a.ticket} {
			if strings.ContainsAny(w, " \t\n") {
				t.Fatalf("%q holds a blank", w)
			}
		}
	})
}

// A kid of any characters that a kid can have comes through as it was typed.
func FuzzParseKid(f *testing.F) {
	for _, s := range []string{"2026-02-14-k2", "Zm9vYmFy+/8=", "==", "a=b=c", "kid=kid", "&amp;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, kid string) {
		if kid == "" || len(kid) > 200 || strings.Join(strings.Fields(kid), "") != kid || strings.ContainsAny(kid, "&<>") {
			t.Skip("typed so, it is no single word, or Slack writes it differently")
		}
		a, _, err := parseLine(commandCheck, "production kid="+kid+" since=2h")
		if err != nil || a.kid != kid || a.target != "production" || a.since != 2*time.Hour {
			t.Fatalf("kid %q: %+v, %v", kid, a, err)
		}
	})
}
