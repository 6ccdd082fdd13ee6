package render

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/record"
)

// withinLimits holds a message against every limit of Slack, on the JSON that is
// sent, and against what this bot promises about its messages.
func withinLimits(t *testing.T, m Message) {
	t.Helper()
	if m.Text == "" || utf8.RuneCountInString(m.Text) > limitText {
		t.Errorf("fallback text of %d characters", utf8.RuneCountInString(m.Text))
	}
	if !strings.HasPrefix(m.Metadata.EventType, "jwksbot_") || len(m.Metadata.EventPayload) != 4 {
		t.Errorf("metadata %+v", m.Metadata)
	}
	if n := len(m.Blocks); n == 0 || n > 50 {
		t.Errorf("%d blocks", n)
	}
	noStrayMentions(t, m.Text)
	c := &limitChecker{t: t}
	var blocks []any
	if err := json.Unmarshal(asJSON(t, m.Blocks), &blocks); err != nil {
		t.Fatal(err)
	}
	for i, b := range blocks {
		c.block(fmt.Sprintf("blocks[%d]", i), b.(map[string]any))
	}
	if c.total > 12000 {
		t.Errorf("%d characters in one message", c.total)
	}
}

func viewWithinLimits(t *testing.T, v slack.ModalViewRequest) {
	t.Helper()
	raw := asJSON(t, v)
	var view map[string]any
	if err := json.Unmarshal(raw, &view); err != nil {
		t.Fatal(err)
	}
	c := &limitChecker{t: t}
	c.text("title", view["title"], 24)
	c.text("submit", view["submit"], 24)
	c.text("close", view["close"], 24)
	if sent, err := json.Marshal(v); err != nil || len(sent) > 250<<10 || utf8.RuneCountInString(v.PrivateMetadata) > 3000 || v.CallbackID == "" {
		t.Errorf("a view of %d bytes, private metadata %q, callback id %q", len(raw), v.PrivateMetadata, v.CallbackID)
	}
	for i, b := range view["blocks"].([]any) {
		c.block(fmt.Sprintf("blocks[%d]", i), b.(map[string]any))
	}
}

// limitChecker has the limits of docs.slack.dev/reference/block-kit, in numbers of their
// own, so that a wrong constant in the code is found.
type limitChecker struct {
	t     *testing.T
	total int
}

func (c *limitChecker) block(at string, b map[string]any) {
	switch b["type"] {
	case "header":
		c.text(at, b["text"], 150)
	case "section":
		c.text(at, b["text"], 3000)
		fields, _ := b["fields"].([]any)
		c.count(at+".fields", len(fields), 10)
		for _, f := range fields {
			c.text(at+".fields", f, 2000)
		}
	case "divider":
	case "context":
		elements := b["elements"].([]any)
		c.count(at+".elements", len(elements), 10)
		for _, e := range elements {
			c.text(at, e, 3000)
		}
	case "actions":
		elements := b["elements"].([]any)
		c.count(at+".elements", len(elements), 25)
		for _, e := range elements {
			c.element(at, e.(map[string]any))
		}
	case "input":
		c.text(at+".label", b["label"], 2000)
		c.text(at+".hint", b["hint"], 2000)
		c.element(at, b["element"].(map[string]any))
	default:
		c.t.Errorf("%s: a block of type %v is not checked", at, b["type"])
	}
}

func (c *limitChecker) element(at string, e map[string]any) {
	at = fmt.Sprintf("%s.%v", at, e["action_id"])
	c.size(at+".action_id", e["action_id"], 255)
	c.size(at+".value", e["value"], 2000)
	c.text(at+".placeholder", e["placeholder"], 150)
	c.size(at+".initial_value", e["initial_value"], 3000)
	if e["type"] == "button" {
		c.text(at, e["text"], 75)
		if e["value"] == "" || e["value"] == nil {
			c.t.Errorf("%s: a button without a value", at)
		}
	}
	if confirm, ok := e["confirm"].(map[string]any); ok {
		c.text(at+".confirm.title", confirm["title"], 100)
		c.text(at+".confirm.text", confirm["text"], 300)
		c.text(at+".confirm.confirm", confirm["confirm"], 30)
		c.text(at+".confirm.deny", confirm["deny"], 30)
	}
	c.options(at, e)
	groups, _ := e["option_groups"].([]any)
	c.count(at+".option_groups", len(groups), 100)
	for _, g := range groups {
		g := g.(map[string]any)
		c.text(at+".option_group", g["label"], 75)
		c.options(at, g)
	}
}

func (c *limitChecker) options(at string, of map[string]any) {
	options, _ := of["options"].([]any)
	c.count(at+".options", len(options), 100)
	for _, o := range options {
		o := o.(map[string]any)
		c.text(at+".option", o["text"], 75)
		c.text(at+".option", o["description"], 75)
		c.size(at+".option", o["value"], 75)
	}
}

func (c *limitChecker) text(at string, v any, most int) {
	o, ok := v.(map[string]any)
	if !ok {
		return
	}
	s := o["text"].(string)
	n := utf8.RuneCountInString(s)
	c.total += n
	if n == 0 || n > most {
		c.t.Errorf("%s: %d characters, 1 to %d are allowed", at, n, most)
	}
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		c.t.Errorf("%s: no sound UTF-8: %q", at, s)
	}
	switch o["type"] {
	case "mrkdwn":
		noStrayMentions(c.t, s)
		if o["verbatim"] != true {
			c.t.Errorf("%s: Slack may make links and mentions of %q", at, s)
		}
	default:
		if strings.ContainsAny(s, "<>") {
			c.t.Errorf("%s: brackets in plain text %q", at, s)
		}
	}
}

func (c *limitChecker) size(at string, v any, most int) {
	if s, ok := v.(string); ok && utf8.RuneCountInString(s) > most {
		c.t.Errorf("%s: %d characters, %d are allowed", at, utf8.RuneCountInString(s), most)
	}
}

func (c *limitChecker) count(at string, n, most int) {
	if n > most {
		c.t.Errorf("%s: %d items, %d are allowed", at, n, most)
	}
}

// monstrous is the worst text that could come from a cache, a log or a person.
var monstrous = []string{
	"<!channel> <@U0VICTIM> <https://evil.example|click> & &amp; ",
	"``` ` `` *bold* _italic_ ~strike~ > quote\n> quote\r\n• list\t:fire:\x00\x1b[31m",
	"\u202egnp.exe\u2066\u2069 \u2028 אבג مرحبا 😀👩‍👩‍👧 日本語 \xff\xfe",
	strings.Repeat("<&>`*_~", 700),
	strings.Repeat("é", 5000),
	strings.Repeat("`", 999),
	"",
}

// nasty is one of them, alike for alike numbers and unlike otherwise.
func nasty(i int) string { return fmt.Sprint(monstrous[i%len(monstrous)], i) }

func TestMonstrousReport(t *testing.T) {
	for seed := range monstrous {
		e := staleEvidence()
		many := 400
		if seed == 0 {
			many = 10000
		}
		for i := range many {
			en := entryOf(nasty(seed+i), runbook.NoExpiry, runbook.Key{Kid: nasty(seed + i), Kty: nasty(seed), Thumbprint: nasty(i)})
			en.Shard, en.Reading.Format = nasty(seed), nasty(seed)
			if i%3 == 0 {
				en.Foreign = nasty(i)
			}
			e.Cached.Entries = append(e.Cached.Entries, en)
		}
		for i := range 300 {
			e.Logged.Kids = append(e.Logged.Kids, runbook.KidCount{Kid: nasty(i), Count: i})
			e.Logged.Classes[nasty(i)] = i
			e.Logged.Samples = append([]runbook.LogSample{{At: noon, Class: nasty(i), Text: nasty(i + seed)}}, e.Logged.Samples...)
			e.Live.Probes[1].Redirects = append(e.Live.Probes[1].Redirects, nasty(i))
		}
		e.Live.URL, e.Live.Probes[0].CacheControl, e.Live.Probes[2].ContentType = nasty(seed), nasty(seed), nasty(seed)
		r := reportOf(t, staleEvidence())
		r.Evidence, r.Diagnosis = e, diagnose.Diagnose(e)
		r.Target, r.Question.Kid = nasty(seed), nasty(seed)
		for i := range 300 {
			r.Steps = append(r.Steps, check.Result{Step: nasty(i), Status: runbook.StatusFail, Summary: nasty(i + seed), Duration: time.Second})
			r.Diagnosis.Findings = append(r.Diagnosis.Findings, runbook.Finding{Severity: runbook.SeverityWarning, Summary: nasty(i + seed)})
			v := &r.Diagnosis.Verdict
			v.Because, v.Stranded = append(v.Because, nasty(i+seed)), append(v.Stranded, nasty(i))
			v.Against = append(v.Against, runbook.Advice{Mitigation: runbook.Mitigation(nasty(i)), Reason: nasty(i + seed)})
		}
		r.Diagnosis.Verdict.Summary, r.Diagnosis.Verdict.WouldChange = nasty(seed), nasty(seed)
		r.Diagnosis.Verdict.ID = runbook.VerdictID(nasty(seed))
		withinLimits(t, Report(r))
		evidence := Evidence(r)
		if len(evidence) == 0 || len(evidence) > maxEvidence {
			t.Errorf("%d messages of evidence", len(evidence))
		}
		for _, m := range evidence {
			withinLimits(t, m)
		}
	}
}

func TestMonstrousRuns(t *testing.T) {
	for seed := range monstrous {
		var entries []runbook.PlanEntry
		for i := range 10000 {
			entries = append(entries, runbook.PlanEntry{Name: runbook.EntryName(nasty(i)), Shard: nasty(seed), Format: nasty(seed), Kids: []string{nasty(i%40 + seed)}})
		}
		for _, s := range runbook.States() {
			r := inState(s)
			r.Target, r.Ticket, r.Reason, r.Outcome, r.Override, r.Resource = nasty(seed), nasty(seed), nasty(seed), nasty(seed), nasty(seed), nasty(seed)
			r.Requester = runbook.PersonRef{ID: nasty(seed), Name: nasty(seed)}
			r.Required = 300
			p := &r.Plan
			p.Resource, p.Summary, p.Advice, p.Digest, p.Scope = nasty(seed), nasty(seed), nasty(seed), nasty(seed), runbook.ScopeAll
			p.Others, p.NoUndo, p.Verdict = 1<<40, true, runbook.VerdictID(nasty(seed))
			p.Entries = entries
			monstrousRest(&r, seed)
			for i := range 60 {
				by := runbook.PersonRef{ID: nasty(i), Name: nasty(i + seed)}
				r.Decisions = append(r.Decisions, decisionOf(by, runbook.DecideApprove, nasty(i), r.Generation))
				r.Receipts = append(r.Receipts, receiptOf(nasty(i), runbook.StatusFail, nasty(i+seed), nasty(i), nasty(i+1), nasty(i+2)))
			}
			withinLimits(t, Run(r, noon))
			thread := RunThread(r)
			if s.Ended() == (len(thread) == 0) || len(thread) > maxEvidence {
				t.Errorf("%s: %d messages in the thread", s, len(thread))
			}
			for _, m := range thread {
				withinLimits(t, m)
			}
			if s != runbook.StatePending {
				continue // lists hold runs in any state
			}
			ids := make([]string, 300)
			runs := make([]runbook.Run, 300)
			for i := range ids {
				ids[i], runs[i] = nasty(i), r
				runs[i].Target = nasty(i)
			}
			withinLimits(t, Reminder(r, ids, noon))
			withinLimits(t, BreakGlassNotice(r, ids))
			withinLimits(t, OnCallPing(r, *r.Escalation))
			withinLimits(t, Status(ids, runs, noon))
			withinLimits(t, History(runs))
			noStrayMentions(t, Help("/jwks-check", nil, ids, ""))
			noStrayMentions(t, Refusal(&runbook.Refusal{Text: nasty(seed), People: ids}))
		}
		viewWithinLimits(t, FlushForm(FlushInput{Verdict: nasty(seed), Targets: []FormTarget{{nasty(seed), true, true, true, true, true}, {Name: "production"}},
			Request: approve.Request{Target: nasty(seed), Ticket: nasty(seed), Reason: nasty(seed), Override: nasty(seed), BreakGlass: nasty(seed), Channel: nasty(seed)}}))
		odd := inState(runbook.StateWatch)
		odd.ID, odd.Target, odd.Ticket = nasty(seed), nasty(seed), nasty(seed)
		viewWithinLimits(t, NextForm(odd, record.NextUndo, approve.Request{RestoreOf: nasty(seed), Reason: nasty(seed)}, true))
	}
}

// monstrousRest fills in everything that is not of a flush.
func monstrousRest(r *runbook.Run, seed int) {
	p := &r.Plan
	p.Steps = []runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser, runbook.FlushGateway, runbook.RestoreCache, runbook.Mitigation(nasty(seed))}
	p.Restart = &runbook.RestartPlan{Function: nasty(seed), Qualifier: nasty(seed + 1), Version: nasty(seed), Mode: runbook.RestartAlias, Provisioned: 1 << 30}
	p.Gateway = &runbook.GatewayPlan{Kind: runbook.APIKind(nasty(seed)), API: nasty(seed), Stage: nasty(seed + 1), Authorisers: []string{nasty(1), nasty(2), nasty(3), nasty(4)}, TTL: 1 << 60}
	p.Restore = &runbook.RestorePlan{Of: nasty(seed), Force: true, MoveBack: p.Restart}
	for i := range 1000 {
		p.Restore.Entries = append(p.Restore.Entries, runbook.RestoreEntry{Name: runbook.EntryName(nasty(i)), Shard: nasty(i), Fate: runbook.FateRewritten})
	}
	p.Route, r.BreakGlass, r.Progress.Text = runbook.RouteBridge, nasty(seed), nasty(seed)
	r.Watch = &runbook.Watch{Text: nasty(seed), Note: nasty(seed + 1), Until: noon.Add(time.Hour),
		Stopped: &runbook.Decision{By: runbook.PersonRef{ID: nasty(seed), Name: nasty(seed)}, Reason: nasty(seed)}}
	for i := range 500 {
		r.Watch.Points = append(r.Watch.Points, runbook.RatioPoint{At: noon.Add(time.Duration(i*i) * time.Minute), Failures: float64(i), Requests: float64(i % 7)})
	}
	e := &runbook.Escalation{Kind: runbook.EscalationKind(nasty(seed)), Why: nasty(seed), Group: nasty(seed), TakenBy: runbook.PersonRef{ID: nasty(seed)}, Pinged: nasty(seed)}
	for i := range 50 {
		e.Evidence, e.Notes = append(e.Evidence, nasty(i)), append(e.Notes, nasty(i))
	}
	r.Escalation = e
}

func TestJoinLinesSaysWhatIsMissing(t *testing.T) {
	lines := make([]string, 40)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %02d", i)
	}
	if got := joinLines(lines, 3, 3000); got != "line 00\nline 01\nline 02\n… 37 more" {
		t.Errorf("got %q", got)
	}
	if got := joinLines(lines[:3], 3, 24); got != "line 00\nline 01\nline 02" {
		t.Errorf("three lines that fit exactly: %q", got)
	}
	for n := 24; n < 400; n++ {
		if got := joinLines(lines, 100, n); utf8.RuneCountInString(got) > n {
			t.Fatalf("%d runes where %d are allowed", utf8.RuneCountInString(got), n)
		}
	}
}
