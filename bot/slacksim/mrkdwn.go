package slacksim

import (
	"regexp"
	"strings"
)

// control matches Slack's control sequences: <@U…>, <#C…>, <!…>, <https://…>.
var control = regexp.MustCompile(`<([@#!]?)([^<>|\n]+)(?:\|([^<>\n]*))?>`)

// noteMentions records whom a post of the app, or its update, mentions. s.mu is
// held.
func (s *Sim) noteMentions(m *Message) {
	seen := map[Mention]bool{}
	note := func(kind, id string) {
		x := Mention{Channel: m.Channel, TS: m.TS, Kind: kind, ID: id, To: m.To, Edited: m.Edits > 0}
		if !seen[x] {
			seen[x] = true
			s.mentions = append(s.mentions, x)
		}
	}
	for _, t := range mentionable(m) {
		for _, hit := range control.FindAllStringSubmatch(t, -1) {
			if kind, id := mentionOf(hit[1], hit[2]); kind != "" {
				note(kind, id)
			}
		}
	}
	for _, b := range m.Blocks {
		richMentions(b, note)
	}
}

func mentionOf(sign, body string) (kind, id string) {
	switch sign {
	case "@":
		return "user", body
	case "#":
		return "channel", body
	case "!":
		if g, ok := strings.CutPrefix(body, "subteam^"); ok {
			return "group", g
		}
		switch body {
		case "channel", "here", "everyone":
			return "broadcast", body
		}
	}
	return "", ""
}

// mentionable are the texts of a message in which Slack parses mentions: the
// fallback text, mrkdwn objects and markdown blocks; never plain_text.
func mentionable(m *Message) []string {
	out := []string{m.Text}
	for _, b := range m.Blocks {
		switch text(b, "type") {
		case "section", "context":
			out = append(out, mrkdwnOf(b["text"])...)
			for _, it := range append(list(b, "fields"), list(b, "elements")...) {
				out = append(out, mrkdwnOf(it)...)
			}
		case "markdown":
			out = append(out, text(b, "text"))
		}
	}
	return out
}

func mrkdwnOf(v any) []string {
	if m, ok := v.(obj); ok && text(m, "type") == "mrkdwn" {
		return []string{text(m, "text")}
	}
	return nil
}

// richMentions finds the mentions in rich text, at any depth (tables too).
func richMentions(v any, note func(kind, id string)) {
	switch x := v.(type) {
	case []any:
		for _, it := range x {
			richMentions(it, note)
		}
	case obj:
		switch text(x, "type") {
		case "user":
			note("user", text(x, "user_id"))
		case "usergroup":
			note("group", text(x, "usergroup_id"))
		case "channel":
			note("channel", text(x, "channel_id"))
		case "broadcast":
			note("broadcast", text(x, "range"))
		}
		for _, name := range []string{"elements", "rows"} {
			richMentions(x[name], note)
		}
	}
}
