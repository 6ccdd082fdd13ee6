package render

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"jwksbot/runbook"

	"github.com/slack-go/slack"
)

// A select holds 100 options, or 100 groups of 100 options each
// (docs.slack.dev/reference/block-kit/composition-objects/option-group-object),
// and a view 250 KB.
const (
	limitGroups = 100
	listBytes   = 200 << 10 // what the options of a view may take of that
)

// targetSelect asks for a target; chosen is ticked if it is among them, and
// needs no choice if it is the only one. What does not fit can still be named on
// the command line, and the form says so.
func targetSelect(names []string, chosen string) slack.Block {
	options, left := targetOptions(startingWith(chosen, names))
	if len(options) == 0 {
		return section("No target fits into this list: name it on the command line, as in `/jwks-flush TARGET INC-… reason`.")
	}
	e := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plainText("Choose a target", limitPlaceholder), blockTarget, options...)
	if len(options) > limitOptions {
		e.Options, e.OptionGroups = nil, grouped(options)
	}
	for _, o := range options {
		if o.Value == chosen || len(names) == 1 {
			e.InitialOption = o
		}
	}
	var hint *slack.TextBlockObject
	if left > 0 {
		hint = plainText(fmt.Sprintf("%d more targets are not listed: name one on the command line.", left), limitHint)
	}
	return slack.NewInputBlock(blockTarget, plainText("Target", limitOption), hint, e)
}

// targetOptions are the options for as many targets as fit, and how many do not.
func targetOptions(names []string) (options []*slack.OptionBlockObject, left int) {
	room := listBytes
	for _, name := range names {
		o := slack.NewOptionBlockObject(name, plainText(name, limitOption), nil)
		sent, err := json.Marshal(o)
		if err != nil || name == "" || utf8.RuneCountInString(name) > limitOption || len(sent) >= room || len(options) == limitOptions*limitGroups {
			left++
			continue
		}
		room -= len(sent) + 1
		options = append(options, o)
	}
	return options, left
}

// grouped puts options into groups, each named by its first and its last.
func grouped(options []*slack.OptionBlockObject) []*slack.OptionGroupBlockObject {
	var groups []*slack.OptionGroupBlockObject
	for part := range slices.Chunk(options, limitOptions) {
		first, last := part[0].Value, part[len(part)-1].Value
		label := runbook.Clip(first, limitOption/2-2) + " – " + runbook.Clip(last, limitOption/2-2)
		groups = append(groups, slack.NewOptionGroupBlockElement(plainText(label, limitOption), part...))
	}
	return groups
}

// startingWith puts the chosen target first where not all fit into one list, so
// that it is never left out.
func startingWith(first string, all []string) []string {
	if len(all) <= limitOptions || !slices.Contains(all, first) {
		return all
	}
	return append([]string{first}, slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == first })...)
}
