package slacksim

import (
	"encoding/json"
	"fmt"
	"strings"
)

// interactive says that an element of that type has an action_id.
func interactive(kind string) bool {
	switch kind {
	case "", "image", "plain_text", "mrkdwn":
		return false
	}
	return true
}

// isInput says that an element of that type may stand in an input block.
func isInput(kind string) bool {
	return strings.HasSuffix(kind, "_input") || strings.HasSuffix(kind, "_select") ||
		strings.HasSuffix(kind, "picker") || kind == "checkboxes" || kind == "radio_buttons"
}

// element checks one interactive element.
func (k *checker) element(p string, e obj) {
	kind := text(e, "type")
	k.str(p, e, "action_id", maxID, false)
	if c, ok := e["confirm"].(obj); ok {
		k.confirm(p+"/confirm", c)
	}
	switch kind {
	case "button", "workflow_button":
		k.button(p, e)
	case "image":
		k.image(p, e)
	case "static_select", "multi_static_select":
		k.text(p, e, "placeholder", maxPlaceholder, false, "plain_text")
		k.options(p, e, maxOptions)
	case "overflow":
		k.options(p, e, 5)
	case "checkboxes", "radio_buttons":
		k.options(p, e, maxChoices)
	default:
		if !isInput(kind) {
			k.fail(p+"/type", "unsupported type: %s", kind)
		}
		k.text(p, e, "placeholder", maxPlaceholder, false, "plain_text")
	}
}

func (k *checker) button(p string, e obj) {
	k.text(p, e, "text", maxButtonText, true, "plain_text")
	k.str(p, e, "value", maxButtonValue, false)
	k.str(p, e, "url", maxURL, false)
	k.str(p, e, "accessibility_label", maxButtonText, false)
	switch text(e, "style") {
	case "", "primary", "danger":
	default:
		k.fail(p+"/style", "must be one of: primary, danger")
	}
}

func (k *checker) confirm(p string, c obj) {
	k.text(p, c, "title", maxConfirmTitle, true, "plain_text")
	k.text(p, c, "text", maxConfirmText, true, "plain_text", "mrkdwn")
	k.text(p, c, "confirm", maxConfirmButton, true, "plain_text")
	k.text(p, c, "deny", maxConfirmButton, true, "plain_text")
}

func (k *checker) options(p string, e obj, limit int) {
	opts := list(e, "options")
	groups := list(e, "option_groups")
	if len(opts) == 0 && len(groups) == 0 {
		k.fail(p, "missing required field: options")
	}
	if len(opts) > limit {
		k.fail(p+"/options", "no more than %d items allowed", limit)
	}
	for i := range opts {
		k.option(fmt.Sprintf("%s/options/%d", p, i), opts[i])
	}
	if len(groups) > maxGroups {
		k.fail(p+"/option_groups", "no more than %d items allowed", maxGroups)
	}
	for i, g := range groups {
		m, _ := g.(obj)
		gp := fmt.Sprintf("%s/option_groups/%d", p, i)
		if n := len(list(m, "options")); n == 0 || n > limit {
			k.fail(gp+"/options", "must have between 1 and %d items", limit)
		}
		k.text(gp, m, "label", maxOptionText, true, "plain_text")
		for j, o := range list(m, "options") {
			k.option(fmt.Sprintf("%s/options/%d", gp, j), o)
		}
	}
}

func (k *checker) option(p string, v any) {
	o, _ := v.(obj)
	k.text(p, o, "text", maxOptionText, true, "plain_text", "mrkdwn")
	k.text(p, o, "description", maxOptionText, false, "plain_text", "mrkdwn")
	k.str(p, o, "value", maxOptionText, true)
}

func (k *checker) input(p string, b obj) {
	k.text(p, b, "label", maxInputLabel, true, "plain_text")
	k.text(p, b, "hint", maxInputLabel, false, "plain_text")
	e, ok := b["element"].(obj)
	if !ok {
		k.fail(p, "missing required field: element")
		return
	}
	if !isInput(text(e, "type")) {
		k.fail(p+"/element/type", "unsupported type: %s", text(e, "type"))
		return
	}
	k.element(p+"/element", e)
	if text(e, "type") == "plain_text_input" {
		k.str(p+"/element", e, "initial_value", maxInputText, false)
		if n, _ := e["max_length"].(float64); n > maxInputText {
			k.fail(p+"/element/max_length", "must be less than %d", maxInputText+1)
		}
	}
}

// checkView reads and checks the argument "view" of a call.
func (s *Sim) checkView(c *call, kind string) (obj, error) {
	v, err := c.data("view")
	if err != nil {
		return nil, &apiError{code: "invalid_arguments", messages: []string{"[ERROR] " + err.Error()}}
	}
	m, _ := v.(obj)
	return m, viewProblem(m, kind)
}

// viewProblem returns an error if Slack would refuse the view.
func viewProblem(m obj, kind string) error {
	k := &checker{surface: kind, blockIDs: map[string]bool{}}
	if text(m, "type") != kind {
		k.fail("/view/type", "must be %s", kind)
		return &apiError{code: "invalid_arguments", messages: k.messages}
	}
	if b, err := json.Marshal(m); err == nil && len(b) > maxViewBytes {
		return refuse("view_too_large")
	}
	k.str("/view", m, "callback_id", maxID, false)
	k.str("/view", m, "external_id", maxID, false)
	k.str("/view", m, "private_metadata", maxPrivate, false)
	if kind == "modal" {
		k.text("/view", m, "title", maxViewTitle, true, "plain_text")
		k.text("/view", m, "submit", maxViewTitle, hasInput(m), "plain_text")
		k.text("/view", m, "close", maxViewTitle, false, "plain_text")
	}
	if _, ok := m["blocks"].([]any); !ok {
		k.fail("/view", "missing required field: blocks")
	}
	k.blocks("/view/blocks", list(m, "blocks"), maxViewBlocks)
	if len(k.messages) > 0 {
		return &apiError{code: "invalid_arguments", messages: k.messages}
	}
	return nil
}

func hasInput(view obj) bool {
	for _, b := range toBlocks(list(view, "blocks")) {
		if text(b, "type") == "input" {
			return true
		}
	}
	return false
}
