package render

import (
	"cmp"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

// How much evidence goes into a thread. What is left out is counted there; the
// terminal (jwksbot check --json) prints all of it.
const (
	maxEvidence  = 4  // messages
	maxEntries   = 15 // cache entries with their keys
	maxRows      = 30 // rows of one table
	maxSamples   = 3  // log lines
	roomBlock    = 2800
	roomCodeLine = 160 // runes of one line in a code block, before escaping
)

// Evidence is everything behind a report, for its thread.
func Evidence(r check.Report) []Message {
	var blocks []slack.Block
	blocks = append(blocks, liveBlocks(r)...)
	blocks = append(blocks, cachedBlocks(r.Evidence)...)
	blocks = append(blocks, loggedBlocks(r.Evidence)...)
	blocks = append(blocks, trafficBlocks(r.Evidence.Traffic)...)
	blocks = append(blocks, gatewayBlocks(r.Evidence.Gateway)...)
	blocks = append(blocks, functionBlocks(r.Evidence.Function)...)
	if lines := unreadLines(r.Evidence.Unread); len(lines) > 0 {
		blocks = append(blocks, titled("Not read", bullets(lines), maxRows, roomBlock))
	}
	// The report itself shows a few; only a longer list is repeated here.
	if alarms, beside := findingLines(r.Diagnosis); len(alarms) > linesAlarms || len(beside) > linesBeside {
		blocks = append(blocks, titled("All findings besides the verdict", append(alarms, beside...), maxRows, roomBlock))
	}
	return pack(blocks, maxEvidence, func(part []slack.Block) Message {
		return Message{
			Text:     fallback("jwksbot: ", Quoted(r.Target, LimitName), ": the evidence behind \"", phraseOf(r.Diagnosis.Verdict.ID), "\""),
			Blocks:   part,
			Metadata: metadata(eventReport, "", r.Target, r.Diagnosis.Verdict.ID, "evidence"),
		}
	})
}

// codeLines shows the first of all lines as they are, aligned; nothing in them
// can end the block.
func codeLines(lines []string, total, n int) string {
	escaped := make([]string, len(lines))
	for i, l := range lines {
		l = strings.ReplaceAll(strings.Map(tame, l), "`", "'")
		escaped[i] = Escape(runbook.Clip(strings.TrimRight(l, " "), roomCodeLine))
	}
	return "```" + joinSome(escaped, total, n-6) + "```"
}

// aligned pads the cells of a table; a cell is cut at its widest allowed width.
func aligned(rows [][]string, widest int) []string {
	var width []int
	for _, row := range rows {
		for i, c := range row {
			row[i] = runbook.Clip(strings.Map(tame, c), widest)
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	out := make([]string, len(rows))
	for r, row := range rows {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(c)
			line.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+2))
		}
		out[r] = strings.TrimRight(line.String(), " ")
	}
	return out
}

// widestCell bounds a cell so that a table fits beside a thread.
const widestCell = 44

func table(rows [][]string) string {
	return codeLines(aligned(rows[:min(maxRows, len(rows))], widestCell), len(rows), roomBlock-300)
}

func liveBlocks(r check.Report) []slack.Block {
	live := r.Evidence.Live
	if live == nil {
		return nil
	}
	var blocks []slack.Block
	title := "*Live keys* at " + Code(live.URL)
	if set, ok := live.Set(); ok && len(set.Keys) > 0 {
		rows := [][]string{{"kid", "type", "thumbprint", "use", ""}}
		for _, k := range set.Keys {
			rows = append(rows, []string{orNone(k.Kid), strings.TrimSpace(k.Kty + " " + k.Alg), thumb(k.Thumbprint), orDash(k.Use), usableText(k)})
		}
		blocks = append(blocks, section(title+"\n"+table(rows)))
	} else {
		blocks = append(blocks, section(title+"\nno sound key set that all probes agree on"))
	}
	lines := make([]string, len(live.Probes))
	for i, p := range live.Probes {
		lines[i] = probeText(i+1, p)
	}
	return append(blocks, titled("Probes, each on a fresh connection", bullets(lines), maxRows, roomBlock))
}

func usableText(k runbook.Key) string {
	s := "usable"
	if !k.Usable {
		s = "NOT USABLE"
	}
	if len(k.Problems) > 0 {
		s += ": " + strings.Join(k.Problems, "; ")
	}
	return s
}

func orNone(kid string) string {
	if kid == "" {
		return "(no kid)"
	}
	return kid
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// thumb shortens a thumbprint to what tells keys apart at a glance.
func thumb(s string) string {
	if s == "" {
		return "–"
	}
	return runbook.Clip(s, 13)
}

// probeText is one answer of the live endpoint.
func probeText(n int, p runbook.Probe) string {
	parts := []string{fmt.Sprintf("probe %d", n)}
	if p.Status != 0 {
		parts = append(parts, fmt.Sprintf("HTTP %d", p.Status))
	}
	if p.ContentType != "" {
		parts = append(parts, Quoted(p.ContentType, LimitName))
	}
	if p.Status != 0 {
		parts = append(parts, runbook.Plural(p.Size, "byte", "bytes"), cmp.Or(Quoted(p.TLS, LimitName), "no TLS"))
	}
	parts = append(parts, runbook.Duration(p.Duration))
	if p.CacheControl != "" {
		parts = append(parts, "Cache-Control "+Code(p.CacheControl))
	}
	if len(p.Redirects) > 0 {
		parts = append(parts, "redirected to "+codes(p.Redirects, 2))
	}
	switch {
	case p.Problem != "":
		parts = append(parts, "*"+prose(p.Problem, LimitSentence)+"*")
	case p.Unreachable:
		parts = append(parts, "*no connection*")
	default:
		parts = append(parts, runbook.Plural(len(p.Set.Keys), "key", "keys"))
	}
	return strings.Join(parts, " · ")
}

// cachedBlocks shows the entries, those that a flush would delete first.
func cachedBlocks(e runbook.Evidence) []slack.Block {
	if e.Cached == nil {
		return nil
	}
	entries := diagnose.Marked(e)
	sort.SliceStable(entries, func(i, j int) bool { return rank(entries[i]) < rank(entries[j]) })
	title := fmt.Sprintf("*Cached entries:* %s on %s", runbook.Plural(len(entries), "entry", "entries"), runbook.Plural(len(e.Cached.Shards), "shard", "shards"))
	if e.Cached.Truncated {
		title += ", and more than could be listed"
	}
	if e.Cached.Others > 0 {
		title += " · " + runbook.Thousands(e.Cached.Others) + " other keys in the same cache, not read"
	}
	blocks := []slack.Block{section(title)}
	for i, m := range entries {
		if i == maxEntries {
			return append(blocks, section(moreLine(len(entries)-i)+" entries"))
		}
		blocks = append(blocks, section(entryText(m)))
	}
	return blocks
}

func rank(m diagnose.MarkedEntry) int {
	switch {
	case m.Old:
		return 0
	case m.Foreign == "":
		return 1
	}
	return 2
}

// entryText is one entry with its keys and how each stands to the live set.
func entryText(m diagnose.MarkedEntry) string {
	facts := []string{Quoted(cmp.Or(m.Reading.Format, "unknown format"), LimitName), runbook.Plural(m.Bytes, "byte", "bytes"), m.Expiry(), "shard " + Code(m.Shard)}
	if m.Reading.Note != "" && m.Reading.Content != runbook.ContentKeys && !strings.HasPrefix(m.Reading.Note, m.Reading.Format) {
		facts = append(facts, prose(m.Reading.Note, LimitSentence))
	}
	if !m.Reading.Written.IsZero() {
		facts = append(facts, "written "+atDay(m.Reading.Written))
	}
	text := entryMark(m) + "\n" + strings.Join(facts, " · ")
	rows := keyRows(m)
	if len(rows) > 0 {
		text += "\n" + table(rows)
	}
	return text
}

func entryMark(m diagnose.MarkedEntry) string {
	switch {
	case m.Foreign != "":
		return "– " + Code(runbook.EntryName(m.Name).String()) + " belongs to another issuer, " + Code(m.Foreign) + ": left alone"
	case m.Old && m.Reading.Content == runbook.ContentNegative:
		return "✗ " + Code(runbook.EntryName(m.Name).String()) + " *says that a live key does not exist*"
	case m.Old && len(m.Marks) == 0:
		return "✗ " + Code(runbook.EntryName(m.Name).String()) + " *holds no keys*"
	case m.Old:
		return "✗ " + Code(runbook.EntryName(m.Name).String()) + " *differs from the live keys*"
	case len(m.Marks) > 0:
		return "✓ " + Code(runbook.EntryName(m.Name).String()) + " *holds the live keys*"
	}
	return "? " + Code(runbook.EntryName(m.Name).String()) + " *not compared*"
}

func keyRows(m diagnose.MarkedEntry) [][]string {
	var rows [][]string
	for _, k := range m.Marks {
		rows = append(rows, []string{markWords[k.Mark], orNone(k.Key.Kid), strings.TrimSpace(k.Key.Kty + " " + k.Key.Alg), thumb(k.Key.Thumbprint)})
	}
	if len(m.Marks) > 0 || m.Foreign != "" {
		return rows
	}
	for _, k := range m.Reading.Set.Keys {
		rows = append(rows, []string{orNone(k.Kid), strings.TrimSpace(k.Kty + " " + k.Alg), thumb(k.Thumbprint)})
	}
	return rows
}

var markWords = map[string]string{
	diagnose.MarkSame:    "= same",
	diagnose.MarkMissing: "+ missing here",
	diagnose.MarkRetired: "- retired",
	diagnose.MarkRekeyed: "! other key, same kid",
	diagnose.MarkRenamed: "~ other kid",
}
