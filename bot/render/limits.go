package render

import (
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// Limits of Block Kit in characters (runes) or items, from
// docs.slack.dev/reference/block-kit: blocks, composition objects and block
// elements. Slack refuses a whole message over a single text that is too long.
const (
	limitBlocks       = 50
	limitSection      = 3000 // text of a section
	limitHeader       = 150
	limitButton       = 75
	limitButtonValue  = 2000
	limitConfirmTitle = 100
	limitConfirmText  = 300
	limitConfirmLabel = 30
	limitViewTitle    = 24
	limitOption       = 75 // text, description and value of an option
	limitOptions      = 100
	limitPlaceholder  = 150
	limitHint         = 2000
	limitPrivate      = 3000 // private_metadata of a view
	limitAlt          = 1000 // alt_txt of a file (docs.slack.dev/reference/methods/files.getUploadURLExternal)
	limitHome         = 100  // blocks of a Home tab (docs.slack.dev/surfaces/app-home)
)

const (
	// limitMessage is what all texts of a message may hold together. Slack
	// documents no number; above about 13,200 it answers msg_blocks_too_long.
	limitMessage = 12000
	// limitText is the length up to which chat.update takes the fallback text
	// (docs.slack.dev/reference/methods/chat.update: 4,000).
	limitText = 4000
	// LimitSentence bounds one interpolated sentence and LimitName one name, so
	// that none crowds out the rest of its message.
	LimitSentence = 600
	LimitName     = 120 // see LimitSentence
)

const ellipsis = "…"

// joinLines puts the first lines below each other until n runes are full, and
// says how many of all did not fit. Lines are finished markup, so they are
// never cut.
func joinLines(lines []string, maxLines, n int) string {
	return joinSome(lines[:min(maxLines, len(lines))], len(lines), n)
}

// joinSome is joinLines where only some of the lines were rendered at all.
func joinSome(lines []string, total, n int) string {
	const note = 24 // room for "… 10,000 more"
	if all := strings.Join(lines, "\n"); len(lines) == total && utf8.RuneCountInString(all) <= n {
		return all
	}
	var out []string
	used := 0
	for _, l := range lines {
		used += utf8.RuneCountInString(l) + 1
		if used+note > n {
			break
		}
		out = append(out, l)
	}
	if more := total - len(out); more > 0 {
		out = append(out, moreLine(more))
	}
	return strings.Join(out, "\n")
}

func moreLine(n int) string { return ellipsis + " " + runbook.Thousands(int64(n)) + " more" }

// textLength counts the runes of all texts of a block, as Slack's limit on the
// whole message does.
func textLength(b slack.Block) int {
	n := 0
	add := func(t *slack.TextBlockObject) {
		if t != nil {
			n += utf8.RuneCountInString(t.Text)
		}
	}
	switch b := b.(type) {
	case *slack.HeaderBlock:
		add(b.Text)
	case *slack.SectionBlock:
		add(b.Text)
		for _, f := range b.Fields {
			add(f)
		}
	case *slack.ContextBlock:
		for _, e := range b.ContextElements.Elements {
			if t, ok := e.(*slack.TextBlockObject); ok {
				add(t)
			}
		}
	case *slack.ActionBlock:
		for _, e := range b.Elements.ElementSet {
			if button, ok := e.(*slack.ButtonBlockElement); ok {
				add(button.Text)
				if button.Confirm != nil {
					add(button.Confirm.Text)
				}
			}
		}
	}
	return n
}

// pack spreads blocks over as few messages as hold them.
func pack(blocks []slack.Block, maxMessages int, make func([]slack.Block) Message) []Message {
	var out []Message
	var part []slack.Block
	used := 0
	for i, b := range blocks {
		size := textLength(b)
		if len(part) > 0 && (len(part) == limitBlocks-1 || used+size > limitMessage-200) {
			if len(out) == maxMessages-1 {
				part = append(part, contextLine(moreLine(len(blocks)-i)+" parts are not shown"))
				break
			}
			out, part, used = append(out, make(part)), nil, 0
		}
		part, used = append(part, b), used+size
	}
	if len(part) == 0 {
		return out
	}
	return append(out, make(part))
}
