package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jwksbot/bot"
	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
	"jwksbot/runbook/config"
	"jwksbot/runbook/redact"
)

// ward is the demo's world with an emulated workspace, and nobody serving.
func ward(t *testing.T) *stage {
	t.Helper()
	c := demoCmd{Scenario: "healthy", Listen: "127.0.0.1:0", Speed: 1}
	st, err := c.build(t.Context(), quietWorld(), filepath.Join(t.TempDir(), "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		st.parts.close()
		if err := st.close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// patient is a doctor in the ward, with a configuration that may be changed.
func patient(t *testing.T, st *stage, change func(*config.Config)) *doctor {
	t.Helper()
	w := quietWorld()
	w.getenv = func(name string) string { return map[string]string{"SLACK_API_URL": st.url + "/api/"}[name] }
	cfg, err := demoConfig(st.drill, filepath.Join(t.TempDir(), "journal.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	change(cfg)
	p, err := w.assembleWith(cfg, demoAWS(st.drill), nil, st.parts.clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	d := &doctor{parts: p, w: w, api: slackAPI(cfg, st.url+"/api/")}
	d.dir = bot.NewDirectory(d.api)
	return d
}

func untold(doctorLine) {}

// seen finds a line; credentials are AWS' own and not of the demo.
func seen(t *testing.T, lines []doctorLine, area, check string) doctorLine {
	t.Helper()
	for _, l := range lines {
		if l.Area == area && l.Check == check {
			return l
		}
	}
	t.Fatalf("no line %s/%s in %+v", area, check, lines)
	return doctorLine{}
}

// withoutAWS leaves out the disk too: the temporary directory may be a container's.
func (d *doctor) withoutAWS() []exam {
	var out []exam
	for _, e := range d.exams() {
		if e.area != "aws" && e.check != "disk" {
			out = append(out, e)
		}
	}
	return out
}

func TestNothingIsWrongInTheDemo(t *testing.T) {
	st := ward(t)
	d := patient(t, st, func(*config.Config) {})
	openJournal(t, d.cfg.Journal.Reveal())
	lines := examine(t.Context(), d.withoutAWS(), untold)
	for _, l := range lines {
		if !healthy([]doctorLine{l}) {
			t.Errorf("%+v", l)
		}
	}
	for _, want := range []doctorLine{
		{Area: "slack", Check: "bot token", Text: "Northwind Identity"}, {Area: "slack", Check: "scopes", Text: "all 7"},
		{Area: "slack", Check: "app token", Text: "hello"}, {Area: "production", Check: "channel", Text: "#inc-bridge"},
		{Area: "production", Check: "approval policy", Text: "1 needed"}, {Area: "production", Check: "live keys", Text: "at http"},
		{Area: "production", Check: "cache writable", Text: "would take a flush"}, {Area: "production", Check: "log group", Text: "can be read"},
		{Area: "journal", Check: "open", Text: "it opens"},
	} {
		if l := seen(t, lines, want.Area, want.Check); !strings.Contains(l.Text, want.Text) {
			t.Errorf("%s/%s: %q, want %q", want.Area, want.Check, l.Text, want.Text)
		}
	}
	until(t, st.sim, "the doctor to leave", func(s *slacksim.Sim) bool { return len(s.Connections()) == 0 })
	noSecret(t, lines)
}

func TestAJournalThatDoesNotLastIsWarnedOf(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/dev/shm", "journal")
	if err != nil {
		t.Skipf("no file system in memory here: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := patient(t, ward(t), func(c *config.Config) { c.Journal = redact.Secret(filepath.Join(dir, "journal.db")) })
	line := seen(t, examine(t.Context(), []exam{d.diskExam()}, untold), "journal", "disk")
	if line.Status != runbook.StatusWarn || !strings.Contains(line.Text, "tmpfs") || !strings.Contains(line.Fix, "volume") {
		t.Errorf("%+v", line)
	}
	d.cfg.Journal = "postgres://127.0.0.1/jwksbot"
	if line := seen(t, examine(t.Context(), []exam{d.diskExam()}, untold), "journal", "disk"); line.Status != runbook.StatusOK {
		t.Errorf("Postgres: %+v", line)
	}

	p := serving(t, slacksim.New(slacksim.Options{}), nil, "journal: journal.db", "journal: "+filepath.Join(dir, "served.db"))
	p.Says("executing runs")
	contains(t, p.Err.String(), "file system that does not last", "tmpfs", "served.db", "postgres://")
}

func TestWhatIsWrongIsSaidWithItsFix(t *testing.T) {
	st := ward(t)
	for name, c := range map[string]struct {
		change            func(*config.Config)
		area, check, text string
		fix               string
	}{
		"wrong bot token": {func(c *config.Config) { c.Slack.BotToken = "xoxb-wrong" }, "slack", "bot token", "invalid_auth", "OAuth & Permissions"},
		"wrong app token": {func(c *config.Config) { c.Slack.AppToken = "xapp-wrong" }, "slack", "app token", "invalid_auth", "connections:write"},
		"not invited":     {func(c *config.Config) { c.Targets[0].Channel = "nowhere" }, "production", "channel", "not in", "/invite"},
		"an empty group":  {func(c *config.Config) { c.Targets[0].Approval.Approvers = []string{"S0NOBODY"} }, "production", "approval policy", "empty or does not exist", "people into the group"},
		"too few people":  {func(c *config.Config) { c.Targets[0].Approval.Required = 50 }, "production", "approval policy", "no request could ever be approved", "approval.required"},
		"no log group":    {func(c *config.Config) { c.Targets[0].Authoriser.LogGroup = "/aws/lambda/none" }, "production", "log group", "does not exist", ""},
		"another group":   {func(c *config.Config) { c.Targets[0].Authoriser.Function = "other" }, "production", "log group", "logs to /aws/lambda/other", "authoriser.log_group"},
		"no such cache":   {func(c *config.Config) { c.Targets[0].Cache.ReplicationGroup = "none" }, "production", "cache writable", "not found", ""},
		"no keys there":   {func(c *config.Config) { c.Targets[0].JWKSURL += "/nothing" }, "production", "live keys", "404", "jwks_url"},
		"other names":     {func(c *config.Config) { c.Targets[0].Cache.Keys = []string{"nothing:*"} }, "production", "cache", "none of which matches", "cache.keys"},
		"CommandBridge":   {func(c *config.Config) { c.Targets[0].CommandBrdg.URL = "http://127.0.0.1:1" }, "production", "commandbridge", "cannot be reached", "commandbridge.url"},
	} {
		t.Run(name, func(t *testing.T) {
			d := patient(t, st, c.change)
			var only []exam
			for _, e := range d.withoutAWS() {
				if e.area == c.area && e.check == c.check {
					only = append(only, e)
				}
			}
			lines := examine(t.Context(), only, untold)
			l := seen(t, lines, c.area, c.check)
			if healthy(lines) || !strings.Contains(l.Text, c.text) || !strings.Contains(l.Fix, c.fix) || l.Fix == "" {
				t.Errorf("%+v", l)
			}
			noSecret(t, lines)
		})
	}
}

func noSecret(t *testing.T, lines []doctorLine) {
	t.Helper()
	text, err := json.Marshal(lines)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"xoxb-demo", "xoxb-wrong", "xapp-demo", "xapp-wrong", "wss://", "ticket="} {
		if strings.Contains(string(text), s) {
			t.Errorf("%q is in %s", s, text)
		}
	}
}

// A line that hangs ends in its time, and the others are not hindered.
func TestALineThatHangsEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hang := exam{"a", "hangs", func(ctx context.Context) (finding, error) {
		<-ctx.Done()
		return finding{}, ctx.Err()
	}}
	fine := exam{"b", "fine", func(context.Context) (finding, error) {
		cancel() // the hanging line has begun or never will
		return well("fine")
	}}
	var told []string
	lines := examine(ctx, []exam{hang, fine}, func(l doctorLine) { told = append(told, l.Check) })
	if strings.Join(told, " ") != "hangs fine" {
		t.Errorf("told in the order %v", told)
	}
	if lines[0].Status != runbook.StatusFail || lines[1].Status != runbook.StatusOK || healthy(lines) {
		t.Errorf("%+v", lines)
	}
	secret := exam{"c", "leaks", func(context.Context) (finding, error) {
		return finding{}, errors.New("redis://me:hunter22@cache answers Bearer abcdefghijklmnop")
	}}
	if l := secret.line(t.Context()); strings.Contains(l.Text, "hunter22") || strings.Contains(l.Text, "abcdefghijklmnop") {
		t.Errorf("%+v", l)
	}
}

// Without Slack and without AWS the rest is looked at all the same.
func TestTheDoctorWorksWithoutSlack(t *testing.T) {
	idp := httptest.NewServer(http.NotFoundHandler())
	defer idp.Close()
	w, out, errs := worldIn(t, `
journal: DIR/jwksbot.db
targets:
  - {name: production, jwks_url: "`+idp.URL+`/jwks", cache: {url: "redis://127.0.0.1:1"}}
`, nil)
	if code := run(t.Context(), []string{"doctor", "--json"}, w); code != exitFinding {
		t.Fatalf("exit %d: %s", code, errs)
	}
	var got struct {
		OK    bool
		Lines []doctorLine
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.OK {
		t.Fatalf("%v: %s", err, out)
	}
	for check, status := range map[string]runbook.Status{"live keys": runbook.StatusFail, "cache": runbook.StatusFail, "log group": runbook.StatusSkipped,
		"gateway": runbook.StatusSkipped, "approval policy": runbook.StatusSkipped} {
		if l := seen(t, got.Lines, "production", check); l.Status != status {
			t.Errorf("%+v", l)
		}
	}
	if l := seen(t, got.Lines, "slack", "tokens"); l.Status != runbook.StatusSkipped {
		t.Errorf("%+v", l)
	}
	out.Reset()
	if code := run(t.Context(), []string{"doctor"}, w); code != exitFinding || !strings.Contains(out.String(), "3 failures") || !strings.Contains(out.String(), "fix:") {
		t.Errorf("exit %d: %s", code, out)
	}
}

// The doctor writes nothing, not even a journal.
func TestTheDoctorLeavesNoJournal(t *testing.T) {
	st := ward(t)
	d := patient(t, st, func(*config.Config) {})
	line := seen(t, examine(t.Context(), d.exams(), untold), "journal", "open")
	if line.Status != runbook.StatusOK || !strings.Contains(line.Text, "it does not exist yet") {
		t.Errorf("%+v", line)
	}
	if _, err := os.Stat(d.cfg.Journal.Reveal()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", d.cfg.Journal.Reveal(), err)
	}
}
