package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/redact"
)

func doctorCommand(w *world) *cobra.Command {
	c := &doctorCmd{}
	cmd := w.command("doctor", "Look at everything that the bot needs, each line with the fix. Exit 0 only when nothing is wrong. Changes nothing.", c)
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Print JSON.")
	return cmd
}

// doctorCmd looks at everything that the bot needs, all at once.
type doctorCmd struct{ JSON bool }

// run exits 0 when every line is ok or skipped.
func (c *doctorCmd) run(ctx context.Context, w *world) error {
	d, err := w.newDoctor(ctx)
	if err != nil {
		return err // a file that cannot be read has every problem in its error
	}
	defer d.parts.close()
	exams := d.exams()
	p := newPrinter(w)
	tell := p.doctorLine
	if c.JSON {
		tell = func(doctorLine) {}
	} else if w.terminal {
		fmt.Fprintf(w.stderr, "looking at %d things, each for %s at most\n", len(exams), runbook.Duration(examWithin))
	}
	lines := examine(ctx, exams, tell)
	if c.JSON {
		err = w.json(struct {
			OK    bool         `json:"ok"`
			Lines []doctorLine `json:"lines"`
		}{healthy(lines), lines})
	} else {
		err = p.doctorSum(lines)
	}
	if err == nil && !healthy(lines) {
		return &exitError{exitFinding, nil}
	}
	return err
}

// doctorLine is what the doctor says about one thing.
type doctorLine struct {
	Area   string         `json:"area"` // "slack", "aws", "journal", or a target's name
	Check  string         `json:"check"`
	Status runbook.Status `json:"status"`
	Text   string         `json:"text"`
	Fix    string         `json:"fix"` // what to do; "" when nothing is wrong
}

// exam is one thing to look at. An error is a fail: its text says what to do.
type exam struct {
	area, check string
	look        func(context.Context) (finding, error)
}

// finding is what an exam saw.
type finding struct {
	status runbook.Status // "": ok
	text   string
	fix    string
}

func well(format string, args ...any) (finding, error) {
	return finding{text: fmt.Sprintf(format, args...)}, nil
}

func notSet(format string, args ...any) (finding, error) {
	return finding{status: runbook.StatusSkipped, text: fmt.Sprintf(format, args...)}, nil
}

func doubt(fix, format string, args ...any) (finding, error) {
	return finding{runbook.StatusWarn, fmt.Sprintf(format, args...), fix}, nil
}

// remedy is an error with what to do about it.
type remedy struct {
	err error
	fix string
}

func (r *remedy) Error() string { return r.err.Error() }
func (r *remedy) Unwrap() error { return r.err }

// examWithin is how long one line may take.
const examWithin = 20 * time.Second

// atOnce is how many exams run at a time: few enough for the rate limits of
// Slack and AWS.
const atOnce = 8

// examine looks at everything at once and tells the lines in their order, each
// as soon as those before it are there. A line that gets no answer in its time
// is a line that failed, and hinders no other.
func examine(ctx context.Context, exams []exam, tell func(doctorLine)) []doctorLine {
	lines := make([]doctorLine, len(exams))
	ended := make([]chan struct{}, len(exams))
	places := make(chan struct{}, atOnce)
	for i, e := range exams {
		ended[i] = make(chan struct{})
		go func() {
			defer close(ended[i])
			places <- struct{}{}
			defer func() { <-places }()
			lines[i] = e.line(ctx)
		}()
	}
	for i := range exams {
		<-ended[i]
		tell(lines[i])
	}
	return lines
}

func (e exam) line(ctx context.Context) doctorLine {
	ctx, cancel := context.WithTimeout(ctx, examWithin)
	defer cancel()
	f, err := e.look(ctx)
	line := doctorLine{Area: e.area, Check: e.check, Status: f.status, Text: f.text, Fix: f.fix}
	if line.Status == "" {
		line.Status = runbook.StatusOK
	}
	if err != nil {
		line.Status, line.Text = runbook.StatusFail, runbook.OneLine(err)
		var r *remedy
		var p *runbook.Plain
		switch {
		case errors.As(err, &r):
			line.Fix = r.fix
		case errors.As(err, &p):
			line.Fix = "see the line on AWS credentials"
		case errors.Is(err, context.DeadlineExceeded):
			line.Fix = "it did not answer in time: look at the network between this machine and it"
		default:
			line.Fix = "see the text" // errors of the adapters say what to do
		}
	}
	line.Text, line.Fix = redact.Text(line.Text), redact.Text(line.Fix)
	return line
}

func healthy(lines []doctorLine) bool {
	return !slices.ContainsFunc(lines, func(l doctorLine) bool {
		return l.Status != runbook.StatusOK && l.Status != runbook.StatusSkipped
	})
}

func (p *printer) doctorLine(l doctorLine) {
	p.hang(11, "%s  %-12s  %-16s  %s", p.statusMark(l.Status), clean(l.Area), l.Check, clean(l.Text))
	if l.Fix != "" && l.Fix != "see the text" {
		p.hang(14, "         %s %s", p.bold("fix:"), clean(l.Fix))
	}
}

// doctorSum says how many lines fail, and how many are only doubtful.
func (p *printer) doctorSum(lines []doctorLine) error {
	failed, doubtful := 0, 0
	for _, l := range lines {
		switch l.Status {
		case runbook.StatusFail:
			failed++
		case runbook.StatusWarn:
			doubtful++
		}
	}
	p.line("")
	switch {
	case failed+doubtful == 0:
		p.line("nothing is wrong")
	case doubtful == 0:
		p.line("%s", p.bold(runbook.Plural(failed, "failure", "failures")))
	default:
		p.line("%s", p.bold(runbook.Plural(failed, "failure", "failures")+", "+runbook.Plural(doubtful, "warning", "warnings")))
	}
	return p.err
}

// journalExam opens the journal as every command does, but leaves it as it is.
func (d *doctor) journalExam() exam {
	return exam{"journal", "open", func(ctx context.Context) (finding, error) {
		j, err := d.lookAtJournal(ctx)
		switch {
		case errors.Is(err, journal.ErrNotYet):
			return well("it does not exist yet: the first command that uses it creates it")
		case errors.Is(err, journal.ErrOlder):
			return well("it was written by an older jwksbot: the first command that uses it brings its tables up to date")
		case errors.Is(err, journal.ErrPooler):
			return finding{}, err // says what to do
		case err != nil:
			return finding{}, &remedy{err, "the journal holds requests and approvals: set journal to a file on a disk that lasts, or to postgres://…"}
		}
		defer func() { d.w.logIf("journal", j.Close(ctx)) }()
		if _, err := j.Runs(ctx, runbook.Filter{Limit: 1}); err != nil {
			return finding{}, err
		}
		notes := ""
		if d.cfg.AuditKey == "" {
			notes += "; whoever can write to it could rewrite the audit trail (set audit_key)"
		}
		if d.cfg.Snapshot.Key == "" {
			notes += "; snapshots are not encrypted (set snapshot.key)"
		}
		return well("it opens and answers%s", notes)
	}}
}

func (d *doctor) lookAtJournal(ctx context.Context) (*journal.Journal, error) {
	s, err := d.w.journalSettings(d.cfg, d.clock)
	if err != nil {
		return nil, err
	}
	s.LookOnly = true
	return journal.Open(ctx, s)
}

// diskExam says whether the journal lasts longer than the container.
func (d *doctor) diskExam() exam {
	return exam{"journal", "disk", func(context.Context) (finding, error) {
		if kind := journal.Ephemeral(d.cfg.Journal.Reveal()); kind != "" {
			return doubt("set journal to a file on a volume, or to postgres://…", "it is on %s: requests, approvals and the audit trail are lost with it", kind)
		}
		return well("nothing says that it would be lost with the container")
	}}
}

// unsetExam tells which variables of the file are not set.
func (d *doctor) unsetExam() exam {
	return exam{"config", "variables", func(context.Context) (finding, error) {
		var missing []string
		for path, name := range d.cfg.Unset() {
			if !strings.HasPrefix(path, "slack.") { // has lines of its own
				missing = append(missing, fmt.Sprintf("%s (%s)", name, path))
			}
		}
		if len(missing) == 0 {
			return well("%s, %s", d.w.config, runbook.Plural(len(d.cfg.Targets), "target", "targets"))
		}
		slices.Sort(missing)
		return doubt("set them, or take the settings out of the file", "not set: %s", strings.Join(missing, ", "))
	}}
}
