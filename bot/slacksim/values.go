package slacksim

import (
	"fmt"
	"unicode/utf8"
)

// initialValues is the state of inputs as a view opens: block id, action id.
func initialValues(blocks []Block) map[string]map[string]obj {
	out := map[string]map[string]obj{}
	for _, b := range blocks {
		for _, e := range elementsOf(b) {
			kind := text(e, "type")
			if !isInput(kind) {
				continue
			}
			if out[text(b, "block_id")] == nil {
				out[text(b, "block_id")] = map[string]obj{}
			}
			out[text(b, "block_id")][text(e, "action_id")] = initialValue(e)
		}
	}
	return out
}

// valueMember is the member of a state value that holds what was chosen.
func valueMember(kind string) string {
	switch kind {
	case "static_select", "external_select", "radio_buttons", "overflow":
		return "selected_option"
	case "multi_static_select", "multi_external_select", "checkboxes":
		return "selected_options"
	case "users_select":
		return "selected_user"
	case "multi_users_select":
		return "selected_users"
	case "conversations_select":
		return "selected_conversation"
	case "channels_select":
		return "selected_channel"
	case "datepicker":
		return "selected_date"
	case "timepicker":
		return "selected_time"
	case "datetimepicker":
		return "selected_date_time"
	}
	return "value"
}

func initialValue(e obj) obj {
	kind := text(e, "type")
	member := valueMember(kind)
	initial := map[string]string{
		"selected_option": "initial_option", "selected_options": "initial_options", "selected_user": "initial_user",
		"selected_users": "initial_users", "selected_conversation": "initial_conversation", "selected_channel": "initial_channel",
		"selected_date": "initial_date", "selected_time": "initial_time", "selected_date_time": "initial_date_time", "value": "initial_value",
	}[member]
	v := e[initial]
	if v == nil && (member == "selected_options" || member == "selected_users") {
		v = []any{}
	}
	return obj{"type": kind, member: v}
}

// chosen turns what a person typed or picked into a state value of an element:
// a string, or a list of strings for elements with several choices.
func chosen(e obj, v any) (obj, error) {
	kind := text(e, "type")
	out := obj{"type": kind}
	member := valueMember(kind)
	switch member {
	case "selected_option":
		s, _ := v.(string)
		if s == "" {
			out[member] = nil
			return out, nil
		}
		o, err := optionOf(e, s)
		out[member] = o
		return out, err
	case "selected_options":
		picked := []any{}
		for _, s := range stringsOf(v) {
			o, err := optionOf(e, s)
			if err != nil {
				return nil, err
			}
			picked = append(picked, o)
		}
		out[member] = picked
		return out, nil
	case "selected_users":
		picked := []any{}
		for _, s := range stringsOf(v) {
			picked = append(picked, s)
		}
		out[member] = picked
		return out, nil
	}
	if s, ok := v.(string); ok && s == "" {
		v = nil
	}
	out[member] = v
	return out, nil
}

func stringsOf(v any) []string {
	switch x := v.(type) {
	case []string:
		return x
	case string:
		return []string{x}
	case []any:
		var out []string
		for _, it := range x {
			if s, ok := it.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func optionOf(e obj, value string) (any, error) {
	opts := list(e, "options")
	for _, g := range list(e, "option_groups") {
		m, _ := g.(obj)
		opts = append(opts[:len(opts):len(opts)], list(m, "options")...)
	}
	for _, o := range opts {
		if m, _ := o.(obj); text(m, "value") == value {
			return o, nil
		}
	}
	return nil, fmt.Errorf("element %q has no option %q", text(e, "action_id"), value)
}

func isBlank(val obj) bool {
	v := val[valueMember(text(val, "type"))]
	switch x := v.(type) {
	case nil:
		return true
	case string:
		return x == ""
	case []any:
		return len(x) == 0
	}
	return false
}

// inputErrors is what Slack's own client refuses before it sends a submission:
// required inputs that are blank, texts out of their bounds.
func inputErrors(v *View) map[string]string {
	out := map[string]string{}
	for _, b := range v.Blocks {
		if text(b, "type") != "input" {
			continue
		}
		id := text(b, "block_id")
		e, _ := b["element"].(obj)
		val := v.values[id][text(e, "action_id")]
		optional, _ := b["optional"].(bool)
		if isBlank(val) {
			if !optional {
				out[id] = "Please complete this required field."
			}
			continue
		}
		n := utf8.RuneCountInString(text(val, "value"))
		limit := maxInputText
		if m, ok := e["max_length"].(float64); ok {
			limit = int(m)
		}
		least, _ := e["min_length"].(float64)
		switch {
		case n > limit:
			out[id] = fmt.Sprintf("Must be less than %d characters.", limit+1)
		case text(e, "type") == "plain_text_input" && n < int(least):
			out[id] = fmt.Sprintf("Must be at least %d characters.", int(least))
		}
	}
	return out
}
