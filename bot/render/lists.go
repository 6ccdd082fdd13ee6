package render

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

const (
	maxTargetsShown = 25
	// MaxRuns is how many runs a list shows.
	MaxRuns = 20
)

// HelpLine is a sub-command in the help of a command.
type HelpLine struct {
	Typed string // the word, and what may follow it
	Does  string // a clause without a subject
}

// Help explains a command to whoever types it with "help", with its
// sub-commands. targets are those that they may see; where there are none, note
// says why.
func Help(command string, also []HelpLine, targets []string, note string) string {
	example := "TARGET"
	if len(targets) > 0 {
		example = runbook.Clip(targets[0], LimitName)
	}
	lines := checkHelp(example)
	if strings.HasSuffix(command, "flush") {
		lines = flushHelp(example)
	}
	words := make([]string, len(also))
	for i, l := range also {
		words[i] = Code(l.Typed) + " " + l.Does
	}
	return strings.Join(append(lines,
		"",
		"*Targets:* "+cmp.Or(codes(targets, maxTargetsShown), note),
		"*Also:* "+strings.Join(words, "; ")+"."), "\n")
}

func checkHelp(target string) []string {
	return []string{
		"`/jwks-check [target] [since=1h] [kid=…]` says whether the authoriser's key cache is stale, with proof, and whether a flush would help.",
		"",
		"*Examples*",
		"• " + Code("/jwks-check "+target) + " checks the last hour",
		"• " + Code("/jwks-check "+target+" since=3h") + " looks further back in the logs",
		"• " + Code("/jwks-check "+target+" kid=abc123") + " looks for one key id",
		"",
		"*It only reads.* It needs no approval, changes nothing, and never shows tokens, secrets or private keys.",
	}
}

func flushHelp(target string) []string {
	return []string{
		"`/jwks-flush [target] [ticket] [reason]` asks for a flush of the authoriser's key cache, a restart of the authoriser, or a flush of the gateway's cache. Without ticket and reason a form opens, with what the last check recommends.",
		"",
		"*Examples*",
		"• " + Code("/jwks-flush "+target) + " opens the form",
		"• " + Code("/jwks-flush "+target+" INC-2026-0214-001 keys rotated at 02:40") + " asks at once",
		"• " + Code("/jwks-flush "+target+" INC-2026-0214-001 keys rotated --restart") + " asks for a restart of the authoriser too",
		"",
		"*Flags:* `--restart` restarts the authoriser after the flush, `--gateway` flushes the gateway's authoriser cache last, `--no-flush` leaves the cache alone, `--direct` bypasses CommandBridge.",
		"*What happens:* the checks run, a card shows exactly what would be touched, somebody else approves it, the old entries are copied and deleted, the effect is read back, and the failures are watched. If they stay high, the on-call team is called.",
		"*It never* acts without an approval (except by break-glass where that is allowed, which is recorded prominently), touches keys that do not match the target or belong to another issuer, flushes while the identity provider's keys are broken, or says \"flushed\" without having read it back.",
	}
}

// stateWords say a state in a list.
var stateWords = map[runbook.State]string{
	runbook.StatePending:   "⚖️ waiting for approval",
	runbook.StateApproved:  "⏳ approved, starting",
	runbook.StateSnapshot:  "⏳ keeping a copy",
	runbook.StateFlush:     "⏳ flushing",
	runbook.StateVerify:    "⏳ reading back",
	runbook.StateRestart:   "⏳ restarting the authoriser",
	runbook.StateGateway:   "⏳ flushing the gateway's cache",
	runbook.StateConfirm:   "⏳ looking for an accepted token",
	runbook.StateWatch:     "👀 watching",
	runbook.StateEscalate:  "🚨 calling the on-call team",
	runbook.StateRestore:   "⏳ writing back",
	runbook.StateDone:      "✅ done",
	runbook.StateFailed:    "❌ failed",
	runbook.StateDenied:    "⛔ denied",
	runbook.StateWithdrawn: "↩️ withdrawn",
	runbook.StateExpired:   "⌛ expired",
	runbook.StateObsolete:  "✅ nothing left to do",
}

func stateText(s runbook.State) string {
	return cmp.Or(stateWords[s], "❓ "+Quoted(string(s), LimitName))
}

// runText says how a run stands, in a list: what its watch saw outranks that
// its steps are done.
func runText(r runbook.Run) string {
	switch verdict := watchVerdict(r); {
	case r.State.Ended() && verdict == runbook.WatchBreach:
		return "🚨 " + r.Plan.DoneTask() + ", but failures persist"
	case r.State.Ended() && verdict == runbook.WatchBlind:
		return "❓ " + r.Plan.DoneTask() + ", could not tell whether it helped"
	case r.State == runbook.StateWatch && r.Escalation != nil && r.Escalation.Resolved.IsZero():
		return "🚨 escalated, still watching"
	}
	return stateText(r.State)
}

// Status says for each target what waits, what runs, and what was last.
func Status(targets []string, runs []runbook.Run, now time.Time) Message {
	var lines []string
	open := 0
	for _, t := range targets {
		var last *runbook.Run
		busy := false
		for i, r := range runs {
			switch {
			case r.Target != t:
			case !r.State.Ended():
				busy = true
				open++
				lines = append(lines, "*"+Quoted(t, LimitName)+"* "+openText(r, now))
			case last == nil || r.EndedAt.After(last.EndedAt):
				last = &runs[i]
			}
		}
		switch {
		case busy:
		case last == nil:
			lines = append(lines, "*"+Quoted(t, LimitName)+"* – nothing waiting, nothing running")
		default:
			lines = append(lines, "*"+Quoted(t, LimitName)+"* – nothing waiting; last: "+runText(*last)+" "+atDay(last.EndedAt)+" ("+Code(last.Ticket)+")")
		}
	}
	if len(lines) == 0 {
		lines = []string{"No targets are configured."}
	}
	return Message{
		Text:     fmt.Sprintf("jwksbot: %s on %s", runbook.Plural(open, "open request", "open requests"), runbook.Plural(len(targets), "target", "targets")),
		Blocks:   []slack.Block{titled("Status", bullets(lines), maxTargetsShown, roomBlock)},
		Metadata: metadata(eventReport, "", "", "", "status"),
	}
}

// openText is a run that has not ended, in a list.
func openText(r runbook.Run, now time.Time) string {
	s := runText(r)
	if r.State == runbook.StateWatch && r.Watch != nil && r.Watch.Text != "" {
		s += " (" + prose(r.Watch.Text, LimitSentence/4) + ")"
	}
	if r.State == runbook.StatePending {
		s += fmt.Sprintf(", %d of %d, %s", len(r.Approvals()), r.Required, leftText(r, now))
	}
	return s + progressText(r.Progress) + " · " + Code(r.Ticket) + " by " + Quoted(r.Requester.Label(), LimitName) + " · run " + Code(r.ID)
}

// History lists runs as they come, newest first.
func History(runs []runbook.Run) Message {
	var lines []string
	for _, r := range runs[:min(MaxRuns, len(runs))] {
		line := fmt.Sprintf("%s *%s* %s · %s by %s · run %s", atDay(r.CreatedAt), Quoted(r.Target, LimitName),
			runText(r), Code(r.Ticket), Quoted(r.Requester.Label(), LimitName), Code(r.ID))
		if r.Outcome != "" {
			line += "\n ↳ " + prose(r.Outcome, LimitSentence/2)
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		lines = []string{"No runs yet."}
	}
	return Message{
		Text:     "jwksbot: the last " + runbook.Plural(len(runs), "run", "runs"),
		Blocks:   []slack.Block{section("*History*\n" + joinSome(bullets(lines), max(len(lines), len(runs)), roomBlock))},
		Metadata: metadata(eventReport, "", "", "", "history"),
	}
}
