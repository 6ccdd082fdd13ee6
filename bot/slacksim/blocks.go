package slacksim

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of Block Kit in characters or items (npm @slack/types 3.2.0 and
// docs.slack.dev/reference/block-kit).
const (
	maxMessageBlocks = 50
	maxViewBlocks    = 100
	maxViewBytes     = 250 << 10
	maxSectionText   = 3000
	maxFields        = 10
	maxFieldText     = 2000
	maxHeaderText    = 150
	maxActions       = 25
	maxContext       = 10
	maxButtonText    = 75
	maxButtonValue   = 2000
	maxURL           = 3000
	maxID            = 255
	maxOptionText    = 75
	maxOptions       = 100
	maxGroups        = 100 // option groups of a select
	maxChoices       = 10  // checkboxes and radio buttons
	maxConfirmTitle  = 100
	maxConfirmText   = 300
	maxConfirmButton = 30
	maxViewTitle     = 24
	maxPrivate       = 3000
	maxInputLabel    = 2000
	maxInputText     = 3000
	maxPlaceholder   = 150
	maxAltText       = 2000
	maxMarkdown      = 12000 // of all markdown blocks together
	maxTableRows     = 100
	maxTableCells    = 20
	maxAggregate     = 13200 // of all texts in a message; undocumented, bolt-js#2509
)

// checker collects what is wrong with blocks, as response_metadata.messages.
type checker struct {
	surface  string // message, modal or home
	messages []string
	total    int // characters of all texts
	markdown int
	tables   int
	blockIDs map[string]bool
}

func (k *checker) fail(path, format string, args ...any) {
	k.messages = append(k.messages, fmt.Sprintf("[ERROR] "+format+" [json-pointer:%s]", append(args, path)...))
}

// checkMessageBlocks refuses blocks that Slack would refuse in a message.
func checkMessageBlocks(raw any) ([]Block, error) {
	items, ok := raw.([]any)
	if !ok {
		return nil, refuse("invalid_blocks_format")
	}
	k := &checker{surface: "message", blockIDs: map[string]bool{}}
	k.blocks("/blocks", items, maxMessageBlocks)
	switch {
	case len(k.messages) > 0:
		return nil, &apiError{code: "invalid_blocks", messages: k.messages}
	case k.total > maxAggregate, k.markdown > maxMarkdown:
		return nil, refuse("msg_blocks_too_long")
	}
	return toBlocks(items), nil
}

func toBlocks(items []any) []Block {
	out := make([]Block, 0, len(items))
	for _, it := range items {
		if m, ok := it.(obj); ok {
			out = append(out, m)
		}
	}
	return out
}

func (k *checker) blocks(path string, items []any, limit int) {
	if len(items) > limit {
		k.fail(path, "no more than %d items allowed", limit)
		return
	}
	for i, it := range items {
		p := fmt.Sprintf("%s/%d", path, i)
		b, ok := it.(obj)
		if !ok {
			k.fail(p, "must be an object")
			continue
		}
		k.block(p, b)
	}
}

// surfaces names the blocks that are checked or at least known, and where they
// may stand: m message, v modal, h home.
func surfaces(kind string) string {
	switch kind {
	case "section", "divider", "image", "actions", "context", "header", "rich_text", "input", "video":
		return "mvh"
	case "markdown", "table", "file", "context_actions", "call", "data_table", "data_visualization",
		"task_card", "plan", "alert", "card", "carousel", "container", "layout":
		return "m"
	}
	return ""
}

func (k *checker) block(p string, b obj) {
	kind := text(b, "type")
	where := surfaces(kind)
	letter := map[string]string{"message": "m", "modal": "v", "home": "h"}[k.surface]
	if where == "" || !strings.Contains(where, letter) {
		k.fail(p+"/type", "unsupported type: %s", kind)
		return
	}
	k.str(p, b, "block_id", maxID, false)
	if id := text(b, "block_id"); id != "" {
		if k.blockIDs[id] {
			k.fail(p+"/block_id", "block_id %q already exists", id)
		}
		k.blockIDs[id] = true
	}
	switch kind {
	case "section":
		k.section(p, b)
	case "header":
		k.text(p, b, "text", maxHeaderText, true, "plain_text")
	case "context":
		k.contextBlock(p, b)
	case "actions":
		k.actions(p, b)
	case "input":
		k.input(p, b)
	case "image":
		k.image(p, b)
	case "markdown":
		k.str(p, b, "text", maxMarkdown, true)
		k.markdown += utf8.RuneCountInString(text(b, "text"))
	case "table":
		k.table(p, b)
	case "rich_text":
		if len(list(b, "elements")) == 0 {
			k.fail(p, "missing required field: elements")
		}
		k.total += richLength(b)
	}
}

func (k *checker) section(p string, b obj) {
	fields := list(b, "fields")
	k.text(p, b, "text", maxSectionText, len(fields) == 0, "plain_text", "mrkdwn")
	if len(fields) > maxFields {
		k.fail(p+"/fields", "no more than %d items allowed", maxFields)
	}
	for i := range fields {
		fp := fmt.Sprintf("%s/fields/%d", p, i)
		k.textObject(fp, fields[i], maxFieldText, "plain_text", "mrkdwn")
	}
	if a, ok := b["accessory"].(obj); ok {
		k.element(p+"/accessory", a)
	}
}

func (k *checker) contextBlock(p string, b obj) {
	items := list(b, "elements")
	switch {
	case len(items) == 0:
		k.fail(p, "missing required field: elements")
	case len(items) > maxContext:
		k.fail(p+"/elements", "no more than %d items allowed", maxContext)
	}
	for i, it := range items {
		ep := fmt.Sprintf("%s/elements/%d", p, i)
		if m, ok := it.(obj); ok && text(m, "type") == "image" {
			k.image(ep, m)
			continue
		}
		k.textObject(ep, it, maxSectionText, "plain_text", "mrkdwn")
	}
}

func (k *checker) actions(p string, b obj) {
	items := list(b, "elements")
	switch {
	case len(items) == 0:
		k.fail(p, "missing required field: elements")
	case len(items) > maxActions:
		k.fail(p+"/elements", "no more than %d items allowed", maxActions)
	}
	seen := map[string]bool{}
	for i, it := range items {
		ep := fmt.Sprintf("%s/elements/%d", p, i)
		m, ok := it.(obj)
		if !ok {
			k.fail(ep, "must be an object")
			continue
		}
		if id := text(m, "action_id"); id != "" {
			if seen[id] {
				k.fail(ep+"/action_id", "action_id %q already exists in this block", id)
			}
			seen[id] = true
		}
		k.element(ep, m)
	}
}

func (k *checker) image(p string, b obj) {
	if text(b, "image_url") == "" && b["slack_file"] == nil {
		k.fail(p, "missing required field: image_url")
	}
	k.str(p, b, "image_url", maxURL, false)
	k.str(p, b, "alt_text", maxAltText, true)
}

func (k *checker) table(p string, b obj) {
	k.tables++
	if k.tables > 1 {
		k.fail(p, "only one table block is allowed")
	}
	rows := list(b, "rows")
	if len(rows) == 0 || len(rows) > maxTableRows {
		k.fail(p+"/rows", "must have between 1 and %d items", maxTableRows)
	}
	for i, r := range rows {
		cells, _ := r.([]any)
		if len(cells) == 0 || len(cells) > maxTableCells {
			k.fail(fmt.Sprintf("%s/rows/%d", p, i), "must have between 1 and %d items", maxTableCells)
		}
		for j, c := range cells {
			m, _ := c.(obj)
			if t := text(m, "type"); !slices.Contains([]string{"raw_text", "rich_text", "raw_number"}, t) {
				k.fail(fmt.Sprintf("%s/rows/%d/%d", p, i, j), "unsupported type: %s", t)
			}
			k.total += utf8.RuneCountInString(text(m, "text")) + richLength(m)
		}
	}
}

// richLength counts the characters of a rich_text value.
func richLength(m obj) int {
	n := 0
	for _, it := range list(m, "elements") {
		if e, ok := it.(obj); ok {
			n += utf8.RuneCountInString(text(e, "text")) + richLength(e)
		}
	}
	return n
}

// str checks a member that is a plain string.
func (k *checker) str(p string, m obj, name string, limit int, required bool) {
	v, there := m[name]
	s, isText := v.(string)
	switch n := utf8.RuneCountInString(s); {
	case there && v != nil && !isText:
		k.fail(p+"/"+name, "must be a string")
	case required && s == "":
		k.fail(p, "missing required field: %s", name)
	case n > limit:
		k.fail(p+"/"+name, "must be less than %d characters", limit+1)
	}
}

// text checks a member that is a text object.
func (k *checker) text(p string, m obj, name string, limit int, required bool, kinds ...string) {
	v := m[name]
	if v == nil {
		if required {
			k.fail(p, "missing required field: %s", name)
		}
		return
	}
	k.textObject(p+"/"+name, v, limit, kinds...)
}

func (k *checker) textObject(p string, v any, limit int, kinds ...string) {
	m, ok := v.(obj)
	if !ok {
		k.fail(p, "must be an object")
		return
	}
	if t := text(m, "type"); !slices.Contains(kinds, t) {
		k.fail(p+"/type", "must be one of: %s", strings.Join(kinds, ", "))
	}
	s := text(m, "text")
	switch n := utf8.RuneCountInString(s); {
	case n == 0:
		k.fail(p+"/text", "must be more than 0 characters")
	case n > limit:
		k.fail(p+"/text", "must be less than %d characters", limit+1)
	default:
		k.total += n
	}
}
