package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/record"
)

// printer writes for people on a terminal: colour only where it is wanted, and
// never as the only sign.
type printer struct {
	out    io.Writer
	colour bool
	width  int // of the terminal; 0: lines are not folded
	err    error
}

func newPrinter(w *world) *printer { return &printer{out: w.paper(), colour: w.colour, width: w.width} }

// paint colours text, which may come from outside.
func (p *printer) paint(code, s string) painted {
	s = clean(s)
	if !p.colour {
		return painted(s)
	}
	return painted("\x1b[" + code + "m" + s + "\x1b[0m")
}

func (p *printer) bold(s string) painted { return p.paint("1", s) }

var severityColour = map[runbook.Severity]string{runbook.SeverityCritical: "1;31", runbook.SeverityWarning: "1;33", runbook.SeverityInfo: "1;32"}

// statusMark is a sign and a word for a step: colour is not needed to read it.
func (p *printer) statusMark(s runbook.Status) painted {
	marks := map[runbook.Status][2]string{
		runbook.StatusOK: {"32", "ok     "}, runbook.StatusWarn: {"33", "warn   "}, runbook.StatusFail: {"31", "FAIL   "},
		runbook.StatusError: {"31", "ERROR  "}, runbook.StatusSkipped: {"2", "skipped"},
	}
	m := marks[s]
	return p.paint(m[0], m[1])
}

// report prints verdict, proof, steps, keys and what follows.
func (p *printer) report(r check.Report) error {
	v := r.Diagnosis.Verdict
	p.line("%s  %s", p.bold(r.Target), p.paint(severityColour[v.Severity], string(v.ID)))
	p.hang(0, "%s", clean(v.Summary))
	for _, b := range v.Because {
		p.line("  - %s", clean(b))
	}
	p.line("")
	for _, s := range r.Steps {
		p.hang(11, "%s  %-14s  %s  %s", p.statusMark(s.Status), s.Step, clean(s.Summary), p.paint("2", "("+runbook.Duration(s.Duration)+")"))
	}
	p.keys(r)
	p.advice(r)
	return p.err
}

func (p *printer) keys(r check.Report) {
	p.line("")
	if set, ok := r.Evidence.Live.Set(); ok {
		p.line("%s  %s", p.bold("live"), clean(r.JWKSURL))
		for _, k := range set.Keys {
			p.line("  %s", keyLine(k))
		}
	}
	if r.Evidence.Cached == nil {
		return
	}
	for _, e := range diagnose.Marked(r.Evidence) {
		p.line("%s  %s  (%s, %s%s)", p.bold("cached"), clean(runbook.EntryName(e.Name).String()), e.Reading.Format, e.Expiry(), foreign(e.Entry))
		for _, k := range e.Reading.Set.Keys {
			p.line("  %s", keyLine(k))
		}
		if len(e.Reading.Set.Keys) == 0 && e.Reading.Note != "" {
			p.line("  %s", clean(e.Reading.Note))
		}
	}
}

func foreign(e runbook.Entry) string {
	if e.Foreign == "" {
		return ""
	}
	return ", of another issuer: " + clean(e.Foreign)
}

func keyLine(k runbook.Key) string {
	kid := k.Kid
	if kid == "" {
		kid = "(no kid)"
	}
	line := fmt.Sprintf("%-46s %s %-3s %-6s", clean(kid), short(k.Thumbprint), clean(k.Kty), clean(k.Alg))
	if len(k.Problems) > 0 {
		line += "  " + clean(strings.Join(k.Problems, "; "))
	}
	return strings.TrimRight(line, " ")
}

func short(thumbprint string) string {
	if len(thumbprint) > 16 {
		return thumbprint[:16] + "…"
	}
	return thumbprint
}

func (p *printer) advice(r check.Report) {
	v := r.Diagnosis.Verdict
	p.line("")
	for _, m := range v.Recommended {
		p.line("%s %s", p.bold("recommended:"), m)
	}
	if len(v.Recommended) > 0 {
		has := func(m runbook.Mitigation) bool { return slices.Contains(v.Recommended, m) }
		p.whole("  %s   (--dry-run shows the plan)", requestLine(approve.Request{Target: r.Target,
			NoFlush: !has(runbook.FlushCache), Restart: has(runbook.RestartAuthoriser), Gateway: has(runbook.FlushGateway)}))
	}
	for _, a := range v.Against {
		p.line("not recommended: %s: %s", a.Mitigation, clean(a.Reason))
	}
	if v.HardCut != "" {
		p.line("hard cut: %s", clean(v.HardCut))
	}
	for _, f := range r.Diagnosis.Findings[1:] {
		p.line("also (%s): %s", f.ID, clean(f.Summary))
	}
	if v.WouldChange != "" {
		p.line("would change this verdict: %s", clean(v.WouldChange))
	}
}

// stepPrinter tells on standard error how a check proceeds.
type stepPrinter struct{ w *world }

// Started names the steps.
func (s *stepPrinter) Started(target string, steps []string) {
	fmt.Fprintf(s.w.stderr, "checking %s: %s\n", target, strings.Join(steps, ", "))
}

// Step tells that one ended.
func (s *stepPrinter) Step(r check.Result) {
	fmt.Fprintf(s.w.stderr, "  %s: %s (%s)\n", r.Step, r.Status, runbook.Duration(r.Duration))
}

// narrowest is the width below which the terminal breaks lines by itself: with
// an indent there would be no room left.
const narrowest = 40

// line prints a line. What is too long for the terminal goes on in the next
// lines, a little further to the right than it began.
func (p *printer) line(format string, args ...any) {
	text := words(format, args)
	p.put(len(text)-len(strings.TrimLeft(text, " "))+4, text)
}

// hang prints a line that goes on in a given column.
func (p *printer) hang(indent int, format string, args ...any) {
	p.put(indent, words(format, args))
}

// whole prints a line that is never broken: a command to copy.
func (p *printer) whole(format string, args ...any) { p.print(words(format, args)) }

func (p *printer) print(line string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.out, line)
	}
}

func (p *printer) put(indent int, text string) {
	if p.width < narrowest {
		p.print(text)
		return
	}
	for _, l := range foldHanging(text, p.width, min(indent, p.width/2)) {
		p.print(l)
	}
}

// paint is what colours a text without taking room.
var paint = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("\x1b\\[[0-9;]*m") })

func columnsOf(s string) int { return utf8.RuneCountInString(paint().ReplaceAllString(s, "")) }

// foldHanging breaks a text at blanks into lines of at most width columns; all
// but the first begin with an indent. Blanks within a line stay as they are,
// and a word that is longer than a line stays whole: it may be a kid to copy.
func foldHanging(text string, width, indent int) (lines []string) {
	line, bare := "", true // bare: no word stands on it yet
	for i, word := range strings.Split(text, " ") {
		next := line + " " + word
		if i == 0 {
			next = word
		}
		if !bare && word != "" && columnsOf(next) > width {
			lines = append(lines, strings.TrimRight(line, " "))
			next = strings.Repeat(" ", indent) + word
		}
		line, bare = next, bare && word == ""
	}
	return append(lines, strings.TrimRight(line, " "))
}

// next prints what the runbook says next about a run, and what may be done any
// time, each with the command that requests it.
func (p *printer) next(r runbook.Run) {
	for _, step := range record.NextSteps(r) {
		req, ok := record.RequestFor(r, step.Kind, "", runbook.ViaTerminal)
		if !ok {
			continue // no command does it
		}
		word := "next:"
		if step.Option {
			word = "possible:"
		}
		p.line("  %s %s (%s)", p.bold(word), step.Label, clean(step.Why))
		p.whole("    %s", requestLine(req))
	}
}

// requestLine is the command that requests a mitigation. The reason is for the
// person to write; an undo has that of its run.
func requestLine(req approve.Request) string {
	words := []string{"jwksbot", "flush", req.Target}
	if req.RestoreOf != "" {
		words = []string{"jwksbot", "restore", req.RestoreOf}
	}
	add := func(flag string, on bool) {
		if on {
			words = append(words, flag)
		}
	}
	restore := req.RestoreOf != ""
	add("--force", restore && req.Force)
	add("--scope=all", !restore && req.Scope == runbook.ScopeAll)
	add("--direct", !restore && req.Direct)
	add("--no-flush", !restore && req.NoFlush)
	add("--restart", req.Restart)
	add("--gateway", req.Gateway)
	if restore {
		return strings.Join(words, " ")
	}
	ticket := req.Ticket
	if ticket == "" {
		ticket = "INC-…"
	}
	return strings.Join(append(words, "--ticket", ticket, "--reason '…'"), " ")
}
