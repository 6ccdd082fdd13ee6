package record

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// timelineEvents puts together what people did, by the audit trail, and what
// the program did, by the run: its receipts say more than rows do.
func timelineEvents(run runbook.Run, from TimelineSources) []TimelineEvent {
	names := timelineNames(run)
	events := []TimelineEvent{}
	add := func(at time.Time, who, what string) {
		if !at.IsZero() {
			events = append(events, TimelineEvent{At: at.UTC(), Who: who, What: redact.Text(strings.Join(strings.Fields(what), " "))})
		}
	}
	rows := 0
	for _, row := range from.Rows {
		if row.Run != run.ID {
			continue
		}
		rows++
		if what := timelineRow(row); what != "" {
			add(row.At, names.of(row.Actor), what)
		}
	}
	if rows == 0 { // a journal whose rows were archived: the run itself knows who decided
		add(run.CreatedAt, run.Requester.Label(), "requested: "+run.Reason)
		for _, d := range run.Decisions {
			add(d.At, d.By.Label(), timelineDid(d)+timelineWhy(d.Reason))
		}
	}
	for _, r := range run.Receipts {
		add(r.EndedAt, runbook.AuditSelf, fmt.Sprintf("%s, %s after %s: %s", r.Step, r.Status, runbook.Duration(r.EndedAt.Sub(r.StartedAt)), r.Summary))
	}
	timelineWatch(run.Watch, add)
	timelineEscalation(run.Escalation, rows == 0, add)
	for _, u := range from.Undone {
		add(u.EndedAt, u.Requester.Label(), fmt.Sprintf("undone by run %s: %s", u.ID, u.Outcome))
	}
	if run.State.Ended() {
		add(run.EndedAt, runbook.AuditSelf, fmt.Sprintf("ended %s%s", run.State, timelineWhy(run.Outcome)))
	}
	slices.SortStableFunc(events, func(a, b TimelineEvent) int { return a.At.Compare(b.At) })
	return events
}

func timelineWhy(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// timelineRow is what a row adds; "" where the run says it better.
func timelineRow(row runbook.AuditEntry) string {
	switch row.Kind {
	case "effect", "verified", "message", "view":
		return ""
	case "state":
		from, to, ok := strings.Cut(row.Detail, " to ")
		if to, _, _ = strings.Cut(to, ":"); !ok || from == to || runbook.State(to).Ended() {
			return "" // each minute of a watch is one; the end has an event of its own
		}
		return "went from " + from + " to " + to
	case "request":
		return "requested: " + row.Reason + timelineAside(row.Detail)
	case string(runbook.DecideApprove):
		return "approved" + timelineWhy(row.Detail)
	case string(runbook.DecideDeny):
		return "denied" + timelineWhy(row.Detail)
	case string(runbook.DecideWithdraw):
		return "withdrew" + timelineWhy(row.Detail)
	case string(runbook.DecideBreakGlass):
		return "used break-glass" + timelineWhy(row.Detail)
	case "replan":
		return "a new plan was made" + timelineWhy(row.Detail)
	case "refused":
		return "was refused" + timelineWhy(row.Detail)
	case "stop_watch":
		return "stopped the watch" + timelineWhy(row.Detail)
	case "acknowledge":
		return "got it: took the escalation over"
	case "reminder":
		return "reminded: " + row.Detail
	}
	return strings.ReplaceAll(row.Kind, "_", " ") + timelineWhy(row.Detail)
}

func timelineAside(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

type timelineAdd func(at time.Time, who, what string)

func timelineWatch(w *runbook.Watch, add timelineAdd) {
	if w == nil {
		return
	}
	add(w.Since, runbook.AuditSelf, "the watch began")
	if worst, ok := timelineWorst(w.Points); ok {
		ratio, _ := worst.Ratio()
		add(worst.At, runbook.AuditSelf, fmt.Sprintf("the worst minute of the watch: %s of %s requests failed (%s)", timelineNumber(worst.Failures), timelineNumber(worst.Requests), runbook.ExactPercent(ratio)))
	}
	add(w.EndedAt, runbook.AuditSelf, fmt.Sprintf("the watch ended, %s%s", strings.ReplaceAll(string(w.Verdict), "_", " "), timelineWhy(w.Text)))
}

// timelineWorst is the minute with the highest share of failures, the first of
// several; none where nothing failed.
func timelineWorst(points []runbook.RatioPoint) (runbook.RatioPoint, bool) {
	var worst runbook.RatioPoint
	most := 0.0
	for _, p := range points {
		if r, ok := p.Ratio(); ok && r > most {
			worst, most = p, r
		}
	}
	return worst, most > 0
}

func timelineEscalation(e *runbook.Escalation, taken bool, add timelineAdd) {
	if e == nil {
		return
	}
	who := runbook.AuditSelf
	if e.By.ID != "" {
		who = e.By.Label()
	}
	call := "called the on-call team"
	if e.N > 1 {
		call = fmt.Sprintf("called the on-call team, for the %d. time", e.N)
	}
	add(e.At, who, call+": "+e.Why)
	add(e.Paged, runbook.AuditSelf, "PagerDuty took the alarm")
	add(e.Published, runbook.AuditSelf, "the alarm was announced on the topic"+timelineAside(e.Message))
	if taken {
		add(e.TakenAt, e.TakenBy.Label(), "got it: took the escalation over")
	}
	add(e.Resolved, runbook.AuditSelf, "the escalation was resolved: failures fell below the limit")
}

// timelineBook finds the name of an actor.
type timelineBook map[string]string

func timelineNames(run runbook.Run) timelineBook {
	b := timelineBook{}
	note := func(p runbook.PersonRef) {
		if p.Name != "" {
			b[p.ID] = p.Name
		}
	}
	note(run.Requester)
	for _, d := range run.Decisions {
		note(d.By)
	}
	if run.Watch != nil && run.Watch.Stopped != nil {
		note(run.Watch.Stopped.By)
	}
	if run.Escalation != nil {
		note(run.Escalation.By)
		note(run.Escalation.TakenBy)
	}
	return b
}

func (b timelineBook) of(actor string) string {
	if name := b[actor]; name != "" {
		return name
	}
	return actor
}

// timelineUnproven says what a reader must not take for granted.
func timelineUnproven(run runbook.Run) []string {
	out := []string{}
	add := func(format string, args ...any) { out = append(out, redact.Text(fmt.Sprintf(format, args...))) }
	ran := map[string]bool{}
	for _, r := range run.Receipts {
		ran[r.Step] = true
		if r.Status != runbook.StatusOK {
			add("%s ended as %s: %s", r.Step, r.Status, r.Summary)
		}
	}
	for _, m := range run.Plan.Steps {
		switch {
		case !ran[string(m)]:
			add("%s was planned and has not run", m)
		case m == runbook.FlushGateway:
			add("that the gateway's result cache is empty: the API accepted the flush, its effect cannot be read back")
		case m == runbook.FlushCache && run.Plan.NoUndo:
			add("the flush cannot be undone: no snapshot was kept")
		}
	}
	if run.Escalation != nil {
		for _, n := range run.Escalation.Notes {
			add("escalation: %s", n)
		}
	}
	return append(out, timelineUnwatched(run)...)
}

func timelineUnwatched(run runbook.Run) []string {
	w := run.Watch
	switch {
	case run.StartedAt.IsZero():
		return nil // nothing was done that could be watched
	case w == nil:
		return []string{"nothing was watched afterwards: whether users still fail is not known from this run"}
	}
	var out []string
	if w.Stopped != nil {
		out = append(out, redact.Text(fmt.Sprintf("the watch was stopped by %s%s", w.Stopped.By.Label(), timelineWhy(w.Stopped.Reason))))
	}
	switch w.Verdict {
	case runbook.WatchBlind:
		out = append(out, "whether failures persist: the watch could not tell")
	case runbook.WatchOpen:
		out = append(out, "the watch is not over, or ended before it could say anything")
	case runbook.WatchBreach:
		out = append(out, "the incident is not over: failures stayed above the limit")
	}
	if w.Note != "" {
		out = append(out, redact.Text(w.Note))
	}
	return out
}
