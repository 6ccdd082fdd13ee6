package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/record"
)

// worldIn is a world in a folder of its own, with a configuration.
func worldIn(t *testing.T, yaml string, env map[string]string) (w *world, out, errs *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "jwksbot.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(yaml, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	w = &world{stdin: strings.NewReader(""), stdout: out, stderr: errs, clock: runbook.SystemClock{}}
	w.getenv = func(name string) string {
		if name == "JWKSBOT_CONFIG" {
			return file
		}
		return env[name]
	}
	return w, out, errs
}

const reportYAML = `
journal: DIR/jwksbot.db
targets:
  - {name: production, issuer: "https://idp.example.com", cache: {url: "redis://127.0.0.1:1"}}
`

// watchedRun is a run whose watch saw failures fall.
func watchedRun(id string) runbook.Run {
	at := time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)
	run := runbook.Run{ID: id, Target: "production", Resource: "cache 127.0.0.1:1", State: runbook.StateDone, Ticket: "INC-7", Reason: "rotation",
		Requester: runbook.PersonRef{ID: "U1", Name: "Robin"}, Via: runbook.ViaSlack, CreatedAt: at, StartedAt: at, EndedAt: at.Add(20 * time.Minute),
		Plan:     runbook.Plan{Steps: []runbook.Mitigation{runbook.FlushCache}, Verdict: diagnose.StaleCache},
		Receipts: []runbook.Receipt{{Step: "flush-cache", Status: runbook.StatusOK, Summary: "1 entry deleted", StartedAt: at, EndedAt: at}},
		Watch:    &runbook.Watch{Since: at, Until: at.Add(15 * time.Minute), Verdict: runbook.WatchCalm}}
	for i := range 15 {
		run.Watch.Points = append(run.Watch.Points, runbook.RatioPoint{At: at.Add(time.Duration(i) * time.Minute), Failures: float64(15 - i), Requests: 100})
	}
	return run
}

func TestTheReportOfARunIsWrittenWithItsChart(t *testing.T) {
	w, out, errs := worldIn(t, reportYAML, nil)
	if code := run(t.Context(), []string{"report"}, w); code != exitFailed || !strings.Contains(errs.String(), "nothing to report") {
		t.Fatalf("exit %d: %s", code, errs)
	}
	writeRuns(t, w, watchedRun("0214-first"), watchedRun("0214-second"), func() runbook.Run {
		r := watchedRun("0214-undo")
		r.Plan = runbook.Plan{Steps: []runbook.Mitigation{runbook.RestoreCache}, Restore: &runbook.RestorePlan{Of: "0214-first"}}
		r.CreatedAt = r.CreatedAt.Add(-time.Hour) // so that it is not the newest
		return r
	}())
	dir := filepath.Join(t.TempDir(), "review")
	out.Reset()
	if code := run(t.Context(), []string{"report", "0214-first", "--out", dir}, w); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	text, err := os.ReadFile(filepath.Join(dir, "0214-first.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# production: INC-7", "(0214-first.png)", "flush-cache", "Undone", "0214-undo"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	picture, err := os.Open(filepath.Join(dir, "0214-first.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer picture.Close()
	if _, err := png.Decode(picture); err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d files were named: %s", n, out)
	}
}

func TestTheReportIsOfTheRunThatIsMeant(t *testing.T) {
	w, out, errs := worldIn(t, reportYAML, nil)
	old, young := watchedRun("0214-old"), watchedRun("0214-young")
	young.CreatedAt = young.CreatedAt.Add(time.Hour)
	writeRuns(t, w, old, young)
	for _, c := range []struct{ args, id string }{{"", "0214-young"}, {"production", "0214-young"}, {"0214-old", "0214-old"}} {
		out.Reset()
		if code := run(t.Context(), append([]string{"report", "--json"}, strings.Fields(c.args)...), w); code != exitOK {
			t.Fatalf("%q: exit %d: %s", c.args, code, errs)
		}
		var record record.Timeline
		if err := json.Unmarshal(out.Bytes(), &record); err != nil || record.Run != c.id || record.Chart != "" {
			t.Errorf("%q: run %q, chart %q, %v", c.args, record.Run, record.Chart, err)
		}
	}
	if code := run(t.Context(), []string{"report", "staging"}, w); code != exitFailed || !strings.Contains(errs.String(), "neither a run of this journal nor a target") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// writeRuns puts runs into the journal of the configuration.
func writeRuns(t *testing.T, w *world, runs ...runbook.Run) {
	t.Helper()
	w.config, w.log = w.getenv("JWKSBOT_CONFIG"), newLogger(w)
	cfg, err := w.readConfig()
	if err != nil {
		t.Fatal(err)
	}
	j, err := w.openJournal(t.Context(), cfg, runbook.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		if err := j.Create(t.Context(), r, runbook.AuditEntry{At: r.CreatedAt, Actor: "U1", Kind: "request", Run: r.ID, Detail: fmt.Sprint("of ", r.ID)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
