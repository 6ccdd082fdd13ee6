package slacksim_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"jwksbot/bot/slacksim"
)

type js = map[string]any

func plain(n int) js { return js{"type": "plain_text", "text": strings.Repeat("é", n)} }
func mrk(n int) js   { return js{"type": "mrkdwn", "text": strings.Repeat("é", n)} }

func with(base js, more ...any) js {
	out := js{}
	for k, v := range base {
		out[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

func repeat(n int, v any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// Every limit from both sides: the largest that Slack takes, and one more.
func TestBlockLimits(t *testing.T) {
	sim, _ := start(t, slacksim.Options{Limits: slacksim.LimitsOff})
	sec := js{"type": "section", "text": mrk(1)}
	btn := js{"type": "button", "text": plain(1)}
	confirm := js{"title": plain(1), "text": mrk(1), "confirm": plain(1), "deny": plain(1)}
	actions := func(e ...any) js { return js{"type": "actions", "elements": e} }
	option := js{"text": plain(1), "value": "v"}
	sel := func(opts []any) js { return actions(js{"type": "static_select", "options": opts}) }
	s := func(n int) string { return strings.Repeat("é", n) }
	one := func(f func(n int) js) func(int) []any { return func(n int) []any { return []any{f(n)} } }
	for _, c := range []struct {
		name  string
		limit int
		build func(n int) []any
		code  string // default invalid_blocks
	}{
		{name: "blocks", limit: 50, build: func(n int) []any { return repeat(n, sec) }},
		{name: "section text", limit: 3000, build: one(func(n int) js { return js{"type": "section", "text": mrk(n)} })},
		{name: "fields", limit: 10, build: one(func(n int) js { return js{"type": "section", "fields": repeat(n, mrk(1))} })},
		{name: "field text", limit: 2000, build: one(func(n int) js { return js{"type": "section", "fields": []any{mrk(n)}} })},
		{name: "header", limit: 150, build: one(func(n int) js { return js{"type": "header", "text": plain(n)} })},
		{name: "actions", limit: 25, build: one(func(n int) js { return actions(repeat(n, btn)...) })},
		{name: "context", limit: 10, build: one(func(n int) js { return js{"type": "context", "elements": repeat(n, mrk(1))} })},
		{name: "button text", limit: 75, build: one(func(n int) js { return actions(with(btn, "text", plain(n))) })},
		{name: "button value", limit: 2000, build: one(func(n int) js { return actions(with(btn, "value", s(n))) })},
		{name: "button url", limit: 3000, build: one(func(n int) js { return actions(with(btn, "url", s(n))) })},
		{name: "action id", limit: 255, build: one(func(n int) js { return actions(with(btn, "action_id", s(n))) })},
		{name: "block id", limit: 255, build: one(func(n int) js { return with(sec, "block_id", s(n)) })},
		{name: "confirm title", limit: 100, build: one(func(n int) js { return actions(with(btn, "confirm", with(confirm, "title", plain(n)))) })},
		{name: "confirm text", limit: 300, build: one(func(n int) js { return actions(with(btn, "confirm", with(confirm, "text", mrk(n)))) })},
		{name: "confirm button", limit: 30, build: one(func(n int) js { return actions(with(btn, "confirm", with(confirm, "confirm", plain(n)))) })},
		{name: "options", limit: 100, build: one(func(n int) js { return sel(repeat(n, option)) })},
		{name: "option text", limit: 75, build: one(func(n int) js { return sel([]any{with(option, "text", plain(n))}) })},
		{name: "option value", limit: 75, build: one(func(n int) js { return sel([]any{with(option, "value", s(n))}) })},
		{name: "alt text", limit: 2000, build: one(func(n int) js { return js{"type": "image", "image_url": "https://example.com/x.png", "alt_text": s(n)} })},
		{name: "markdown", limit: 12000, build: one(func(n int) js { return js{"type": "markdown", "text": s(n)} })},
		{name: "table rows", limit: 100, build: one(func(n int) js {
			return js{"type": "table", "rows": repeat(n, []any{js{"type": "raw_text", "text": "x"}})}
		})},
		{name: "table cells", limit: 20, build: one(func(n int) js {
			return js{"type": "table", "rows": []any{repeat(n, js{"type": "raw_text", "text": "x"})}}
		})},
		{name: "all texts", limit: 13200, code: "msg_blocks_too_long", build: func(n int) []any {
			out := repeat(n/3000, js{"type": "section", "text": mrk(3000)})
			return append(out, js{"type": "section", "text": mrk(n % 3000)})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.code == "" {
				c.code = "invalid_blocks"
			}
			if got := postBlocks(t, sim, c.build(c.limit)); got != "" {
				t.Errorf("%d: %s", c.limit, got)
			}
			if got := postBlocks(t, sim, c.build(c.limit+1)); !strings.HasPrefix(got, c.code) {
				t.Errorf("%d: %q, want %s", c.limit+1, got, c.code)
			}
		})
	}
}

func TestBadBlocks(t *testing.T) {
	sim, _ := start(t, slacksim.Options{Limits: slacksim.LimitsOff})
	btn := js{"type": "button", "text": plain(1), "action_id": "a"}
	for name, c := range map[string]struct {
		blocks []any
		want   string
	}{
		"same action id in a block":  {[]any{js{"type": "actions", "elements": []any{btn, btn}}}, "already exists in this block"},
		"same action id in two":      {[]any{js{"type": "actions", "elements": []any{btn}}, js{"type": "actions", "elements": []any{btn}}}, ""},
		"same block id":              {repeat(2, js{"type": "section", "block_id": "b", "text": mrk(1)}), "/blocks/1/block_id"},
		"unknown block":              {[]any{js{"type": "sections"}}, "unsupported type: sections"},
		"empty text":                 {[]any{js{"type": "section", "text": mrk(0)}}, "must be more than 0 characters"},
		"section without anything":   {[]any{js{"type": "section"}}, "missing required field: text"},
		"mrkdwn in a header":         {[]any{js{"type": "header", "text": mrk(1)}}, "must be one of: plain_text"},
		"mrkdwn on a button":         {[]any{js{"type": "actions", "elements": []any{with(btn, "text", mrk(1))}}}, "must be one of: plain_text"},
		"unknown style":              {[]any{js{"type": "actions", "elements": []any{with(btn, "style", "warning")}}}, "primary, danger"},
		"actions without elements":   {[]any{js{"type": "actions"}}, "missing required field: elements"},
		"image without alt text":     {[]any{js{"type": "image", "image_url": "https://example.com/x.png"}}, "missing required field: alt_text"},
		"two tables":                 {repeat(2, js{"type": "table", "rows": []any{[]any{js{"type": "raw_text", "text": "x"}}}}), "only one table"},
		"incomplete confirm":         {[]any{js{"type": "actions", "elements": []any{with(btn, "confirm", js{"title": plain(1)})}}}, "/confirm"},
		"no object":                  {[]any{"x"}, "must be an object"},
		"element of an unknown type": {[]any{js{"type": "actions", "elements": []any{js{"type": "knob"}}}}, "unsupported type: knob"},
	} {
		got := postBlocks(t, sim, c.blocks)
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	got, _ := raw(t, sim, "chat.postMessage", url.Values{"token": {"xoxb-demo-bot"}, "channel": {bridge}, "blocks": {"{"}})
	if got["error"] != "invalid_blocks_format" {
		t.Errorf("broken JSON: %v", got)
	}
}

// postBlocks posts blocks and returns error and messages, "" when it went well.
func postBlocks(t *testing.T, sim *slacksim.Sim, blocks []any) string {
	t.Helper()
	b, err := json.Marshal(blocks)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := raw(t, sim, "chat.postMessage", url.Values{"token": {"xoxb-demo-bot"}, "channel": {bridge}, "text": {"x"}, "blocks": {string(b)}})
	if got["ok"] == true {
		return ""
	}
	return fmt.Sprint(got["error"], " ", got["response_metadata"])
}
