package render

import (
	"fmt"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// maxPlanned bounds how many planned entries a thread lists.
const maxPlanned = 25

// RunThread is the evidence of an ended run, for its thread: every
// line of proof, what the plan was, and who decided. Nil while the run goes
// on, and where there is nothing to add to its message.
func RunThread(r runbook.Run) []Message {
	if !r.State.Ended() {
		return nil
	}
	var blocks []slack.Block
	if len(r.Receipts) > 0 {
		blocks = append(blocks, titled("Proof of each step", proofLines(r), 60, roomBlock))
	}
	if len(r.Receipts) > 0 && len(r.Plan.Entries) > 0 {
		blocks = append(blocks, section("*What was planned*\n"+joinSome(plannedLines(r.Plan), len(r.Plan.Entries), roomBlock)))
	}
	if gone := r.Plan.KidsGone(); len(gone) > 0 && touched(r) {
		blocks = append(blocks, section("*Keys of the plan that are not live:* "+codes(gone, 15)))
	}
	if lines := decisionLines(r); len(lines) > 1 || len(lines) == 1 && len(blocks) > 0 {
		blocks = append(blocks, titled("Decisions", lines, maxRows, roomBlock))
	}
	return pack(blocks, maxEvidence, func(part []slack.Block) Message {
		return Message{
			Text:     fallback("jwksbot: ", Quoted(r.Target, LimitName), ": the evidence of run ", Quoted(r.ID, LimitName)),
			Blocks:   part,
			Metadata: metadata(eventRun, r.ID, r.Target, r.Plan.Verdict, string(r.State)),
		}
	})
}

func proofLines(r runbook.Run) []string {
	var lines []string
	for _, rec := range r.Receipts {
		lines = append(lines, stepText(rec.Step, rec.Status, rec.Summary, rec.EndedAt.Sub(rec.StartedAt))+" (ended at "+atTime(rec.EndedAt)+")")
		for _, p := range rec.Proof {
			lines = append(lines, " ↳ "+prose(p, LimitSentence))
		}
	}
	return lines
}

func plannedLines(p runbook.Plan) []string {
	var lines []string
	for _, e := range p.Entries[:min(maxPlanned, len(p.Entries))] {
		lines = append(lines, "• "+prose(e.Text(), LimitSentence))
	}
	return lines
}

func decisionLines(r runbook.Run) []string {
	var lines []string
	for _, d := range r.Decisions {
		did := d.Kind.Did(fmt.Sprintf("plan %d", d.Generation))
		line := "• " + atTime(d.At) + " " + mention(d.By) + " " + Quoted(did, LimitName)
		if d.Via == runbook.ViaTerminal {
			line += " from a terminal"
			if d.Verified != "" {
				line += " (" + Quoted(d.Verified, LimitSentence) + ")"
			}
		}
		if d.Reason != "" {
			line += ": " + Quoted(d.Reason, LimitSentence)
		}
		lines = append(lines, line)
	}
	return lines
}
