package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/journal"
)

// hostile are texts that paint, move, hide or turn around on a terminal, or make
// a spreadsheet compute; each is marked, to see that it was printed at all.
var hostile = []string{
	"\x1b[2J\x1b[1;1Hall is well", "\x1b]0;title\a", "\x00*\x00keys", "\u009b31mred", "\x9b31mraw", "\u202egnp.exe", "\u2066\u2069\u061c",
	"zero\u200bwidth\u2060\ufeff", "soft\u00adhyphen", "two\u2028lines\u2029", "\U000e0041\U000e0100", "\r\nforged: ok", "\x7f\b\b\bover", "tab\tbed", "=cmd|' /C calc'!A0",
}

// checkScreen holds that a text has nothing in it that a terminal acts on or does
// not show, but for ends of lines.
func checkScreen(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s: no UTF-8: %q", what, text)
	}
	for line := range strings.Lines(text) {
		line = strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", " ")
		if runbook.Clean(line) != line {
			t.Errorf("%s: %q", what, line)
		}
		if strings.HasPrefix(line, "forged") {
			t.Errorf("%s: a line of its own: %q", what, line)
		}
	}
}

// Whatever comes from outside (names and members of entries, kids, log lines,
// reasons, answers, arguments, settings), no command prints what a terminal acts
// on; JSON keeps it, escaped.
func TestNothingFromOutsideReachesTheTerminal(t *testing.T) {
	t.Parallel()
	d := newWorkplace(t, "stale")
	own := redis.NewClient(&redis.Options{Addr: d.drill.RedisAddr()})
	defer own.Close()
	set := own.Get(t.Context(), d.drill.KeyName()).Val()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"RSA","kid":%q,"alg":%q,"n":"AQ","e":"AQAB"}],"x":%q}`, hostile[0], hostile[3], hostile[1])
	}))
	defer page.Close()
	var log, keySet bytes.Buffer
	keySet.WriteString(`{"keys":[`)
	for i, h := range hostile {
		kid, _ := json.Marshal("kid" + h)
		envelope, _ := json.Marshal(map[string]any{"member" + h: json.RawMessage(set), "iss" + h: h})
		own.Set(t.Context(), "jwks:a"+fmt.Sprint(i)+h, envelope, time.Hour)
		own.HSet(t.Context(), "jwks:h"+fmt.Sprint(i)+h, "field"+h, set)
		fmt.Fprintf(&log, "2026-02-14T02:41:00Z error: unable to find key %s in jwks, kid=%q invalid_signature\n", kid, "k"+h)
		fmt.Fprintf(&keySet, `{"kty":"RSA","kid":%s,"alg":%s,"use":%s,"n":"AQ","e":"AQAB"},`, kid, kid, kid)
	}
	keySet.WriteString(`{}]}`)
	// What PHP caches write of an object's private members, without any malice.
	own.Set(t.Context(), "jwks:php", "O:3:\"Jwk\":1:{s:9:\"\x00Jwk\x00keys\";s:"+fmt.Sprint(len(set))+":\""+set+"\";}", time.Hour)
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(d.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("log", log.String())
	write("set.json", keySet.String())
	write("bad.yaml", "journal: \"a\x1b[31m\"\ntargets:\n  - name: \"prod\u202e\x1b[2J\"\n    issuer: \"https://h\u200b/\x1b\"\n    ca\u202eche: 1\n    cache: {url: \"redis://h\x1b\"}\n")
	reason := strings.Join(hostile, " ")
	run := d.hostileRun(t, reason)

	for _, args := range [][]string{
		{"check", "production"}, {"check", "production", "--json"}, {"check", "production", "--kid", hostile[0]}, {"check", hostile[0]},
		{"doctor"}, {"doctor", "--json"}, {"runs"}, {"runs", run}, {"runs", run, "--json"}, {"runs", "--target", hostile[0]}, {"runs", hostile[0]},
		{"report", run}, {"report", run, "--json"}, {"report", hostile[5]}, {"audit", "list"}, {"audit", "list", "--kind", "request"}, {"audit", "verify"}, {"audit", "verify", "--head", hostile[0]},
		{"audit", "export"}, {"audit", "export", "--format", "csv"}, {"audit", "export", "--format", hostile[0]},
		{"keys", "inspect", "set.json"}, {"keys", "inspect", "set.json", "--json"}, {"keys", "inspect", page.URL}, {"keys", "inspect", page.URL + "/" + hostile[0]}, {"keys", "inspect", hostile[5]},
		{"keys", "diff", "set.json", page.URL}, {"keys", "diff", "set.json", page.URL, "--json"},
		{"logs", "classify", "log"}, {"logs", "classify", "log", "--json"}, {"logs", "classify", "--pattern", "unknown_kid=" + hostile[0]},
		{"config", "check"}, {"--config", "bad.yaml", "config", "check"}, {"--config", "no" + hostile[0], "check"}, {"iam-policy"},
		{"flush", "production", "--dry-run", "--ticket", hostile[0]}, {"flush", "production", "--ticket", "INC-1", "--reason", reason}, {"restore", hostile[5], "--dry-run"},
		{"approve", hostile[0]}, {"deny", run, "--reason", reason}, {hostile[0]}, {"--" + hostile[5]}, {"help", hostile[0]}, {"health", "--address", hostile[0]},
	} {
		what := fmt.Sprintf("jwksbot %q", args)
		p := d.start(t, "robin", "nonsense\n", clearNUL(args)...)
		p.Exit()
		checkScreen(t, what, p.Out.String())
		checkScreen(t, what+" (standard error)", p.Err.String())
		if args[len(args)-1] == "--json" && args[0] != "logs" && !json.Valid([]byte(p.Out.String())) {
			t.Errorf("%s: no JSON: %.300s", what, p.Out.String())
		}
		if p.Out.String()+p.Err.String() == "" {
			t.Errorf("%s prints nothing", what)
		}
	}
	// The check did see them, and JSON keeps what they are.
	seen, _ := d.run(t, exitFinding, "robin", "", "check", "production")
	contains(t, seen, `jwks:a0\x1b[2J`, "member\uFFFD[2J", "jwks:php")
	inspected, _ := d.run(t, exitFinding, "robin", "", "keys", "inspect", "set.json", "--json")
	contains(t, inspected, `"kid\u001b[2J`, `"kid\u202egnp.exe"`, `"kidzero\u200bwidth\u2060\ufeff"`, `\udb40\udc41`)
}

// clearNUL: no argument of a process can hold one.
func clearNUL(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = strings.ReplaceAll(a, "\x00", "")
	}
	return out
}

// hostileRun leaves a run in the journal whose every text came from outside.
func (d *workplace) hostileRun(t *testing.T, text string) string {
	t.Helper()
	j, err := journal.Open(t.Context(), journal.Settings{URL: filepath.Join(d.dir, "journal.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close(t.Context())
	now := time.Now().UTC()
	entries := []runbook.PlanEntry{{Name: runbook.EntryName("jwks:" + text), Format: text, Kids: []string{text}, Thumbprints: []string{text}}}
	r := runbook.Run{ID: "0214-h0st1le2", Target: "production", State: runbook.StatePending, Ticket: "INC-1", Reason: text, Override: text, Requester: runbook.PersonRef{ID: "U0ROBIN", Name: text},
		CreatedAt: now, ExpiresAt: now.Add(time.Hour), RemindAt: now.Add(time.Hour / 2), Required: 1, Generation: 1, Resource: "r" + text, Outcome: text,
		Plan:     runbook.Plan{Target: "production", Resource: text, Summary: text, Advice: text, Steps: []runbook.Mitigation{runbook.FlushCache}, Scope: runbook.ScopeKeys, Entries: entries, Live: []string{}, Digest: "d"},
		Receipts: []runbook.Receipt{{Step: "snapshot", Status: runbook.StatusOK, Summary: text, Proof: []string{text}}}}
	if err := j.Create(t.Context(), r, runbook.AuditEntry{At: now, Actor: "U0" + text, Kind: "request", Run: r.ID, Target: "production", Reason: text, Detail: "=" + text}); err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// A cell of the export computes nothing and is one line.
func TestTheExportIsInert(t *testing.T) {
	t.Parallel()
	d := newWorkplace(t, "stale")
	d.hostileRun(t, strings.Join(hostile, " "))
	csv, _ := d.run(t, exitOK, "robin", "", "audit", "export", "--format", "csv")
	if n := 1 + strings.Count(csv, "\n"); n != 2 {
		t.Errorf("%d lines:\n%q", n, csv)
	}
	contains(t, csv, ",'=\uFFFD[2J")
}

// No place of a password is printed, whatever the scheme, by whatever reads the
// file.
func TestNoURLIsPrintedWithItsPassword(t *testing.T) {
	t.Parallel()
	d := newWorkplace(t, "healthy")
	slack := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"ok": false, "error": "invalid_auth"}`) // at once: who cannot be reached is tried again
	}))
	t.Cleanup(slack.Close)
	d.env = append(d.env, "SLACK_BOT_TOKEN=xoxb-1", "SLACK_APP_TOKEN=xapp-1", "SLACK_API_URL="+slack.URL+"/")
	group := "cache: {replication_group: drill-oidc-cache}"
	places := []string{"host=db user=bot password=" + planted + " dbname=x", "host=db password='" + planted + "'", "bot:" + planted + "@tcp(db:3306)/x", "bot:" + planted + "@db/x", "sqlite:bot:" + planted + "@x"}
	for _, scheme := range []string{"mysql", "postgres", "redis", "rediss", "mongodb+srv", "https", "made.up"} {
		places = append(places, scheme+"://bot:"+planted+"@127.0.0.1:1/x", scheme+"://bot:"+planted+" blank %zz@127.0.0.1:1/x", scheme+"://127.0.0.1:1/x?password="+planted)
		if scheme != "postgres" { // where a lone user is one
			places = append(places, scheme+"://"+planted+"@127.0.0.1:1/x")
		}
	}
	commands := [][]string{{"config", "check"}, {"doctor"}, {"check", "production"}, {"serve"}, {"runs"}, {"iam-policy"}}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i, place := range places {
		quoted, _ := json.Marshal(place)
		for n, edit := range [][]string{{"journal: journal.db", "journal: " + string(quoted)}, {group, `cache: {url: ` + string(quoted) + `}`}, {fmt.Sprintf("%q", d.drill.JWKSURL()), string(quoted)}} {
			d.write(t, edit...)
			some := commands
			if i > 3 { // all of them on each would take minutes
				some = [][]string{commands[0], commands[1+rnd.IntN(len(commands)-1)]}[min(n, 1):]
			}
			for _, args := range some {
				p := d.start(t, "robin", "", args...)
				if args[0] == "serve" { // which may wait for what is away
					bottest.Poll(t, func() bool {
						select {
						case <-p.Ended:
							return true
						default:
							return p.Out.String()+p.Err.String() != ""
						}
					}, func() string { return "serve to say something" })
					p.Cmd.Process.Signal(syscall.SIGTERM)
				}
				p.Exit()
				if said := p.Out.String() + p.Err.String(); strings.Contains(said, planted) || said == "" {
					t.Errorf("%v with %v:\n%s", args, edit, said)
				}
			}
		}
	}
}

// A letter that a write cuts in two is one letter.
func TestTheScreenKeepsLettersWhole(t *testing.T) {
	var out bytes.Buffer
	s := &screen{to: &out}
	for _, b := range []byte("ü日本\u202e\x1b[1m ok\n\xff\xe6x\n") {
		if n, err := s.Write([]byte{b}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := out.String(); got != "ü日本��[1m ok\n��x\n" {
		t.Errorf("%q", got)
	}
}
