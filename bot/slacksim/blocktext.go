package slacksim

import "strings"

// blockLines is one block as plain text.
func blockLines(b Block) []string {
	switch text(b, "type") {
	case "header":
		return []string{"# " + label(b, "text")}
	case "divider":
		return []string{"---"}
	case "section":
		return sectionLines(b)
	case "context":
		var parts []string
		for _, it := range list(b, "elements") {
			m, _ := it.(obj)
			parts = append(parts, text(m, "text")+text(m, "alt_text"))
		}
		return []string{"~ " + strings.Join(parts, " ~ ")}
	case "actions":
		var parts []string
		for _, e := range elementsOf(b) {
			parts = append(parts, elementText(e))
		}
		return []string{strings.Join(parts, " ")}
	case "input":
		e, _ := b["element"].(obj)
		line := label(b, "label") + ": " + elementText(e)
		if h := label(b, "hint"); h != "" {
			line += " (" + h + ")"
		}
		return []string{line}
	case "image":
		return []string{"image: " + text(b, "alt_text")}
	case "markdown":
		return []string{text(b, "text")}
	case "rich_text":
		return []string{richText(b)}
	case "table":
		return tableLines(b)
	}
	return []string{"(" + text(b, "type") + ")"}
}

func sectionLines(b Block) []string {
	var out []string
	if t := label(b, "text"); t != "" {
		out = append(out, t)
	}
	for _, f := range list(b, "fields") {
		m, _ := f.(obj)
		out = append(out, "| "+strings.ReplaceAll(text(m, "text"), "\n", " = "))
	}
	if a, ok := b["accessory"].(obj); ok {
		out = append(out, elementText(a))
	}
	return out
}

// elementText is an element as a person sees it: [Approve], <pick one>, ____.
func elementText(e Block) string {
	switch kind := text(e, "type"); kind {
	case "button":
		return "[" + labelOf(e) + "]"
	case "image":
		return "image: " + text(e, "alt_text")
	case "plain_text_input":
		if v := text(e, "initial_value"); v != "" {
			return "__" + v + "__"
		}
		return "____"
	default:
		var opts []string
		for _, o := range list(e, "options") {
			m, _ := o.(obj)
			opts = append(opts, label(m, "text"))
		}
		v := shown(initialValue(e))
		if v == "" {
			v = kind
		}
		return "<" + v + ": " + strings.Join(opts, " | ") + ">"
	}
}

func richText(v any) string {
	var out strings.Builder
	m, _ := v.(obj)
	out.WriteString(text(m, "text"))
	switch text(m, "type") {
	case "user":
		out.WriteString("<@" + text(m, "user_id") + ">")
	case "usergroup":
		out.WriteString("<!subteam^" + text(m, "usergroup_id") + ">")
	case "broadcast":
		out.WriteString("<!" + text(m, "range") + ">")
	case "link":
		if text(m, "text") == "" {
			out.WriteString(text(m, "url"))
		}
	}
	for i, it := range list(m, "elements") {
		if i > 0 && (text(m, "type") == "rich_text" || text(m, "type") == "rich_text_list") {
			out.WriteString("\n")
		}
		out.WriteString(richText(it))
	}
	return out.String()
}

func tableLines(b Block) []string {
	var out []string
	for _, r := range list(b, "rows") {
		cells, _ := r.([]any)
		var parts []string
		for _, c := range cells {
			parts = append(parts, richText(c))
		}
		out = append(out, "| "+strings.Join(parts, " | ")+" |")
	}
	return out
}
