// Package escalate tells the on-call team that failures persist: through
// PagerDuty and through an SNS topic. It is the only user of their SDKs.
//
// The two differ in what a repetition does. A PagerDuty event carries the
// alarm's key, and however often it is sent, it is one incident: so it is sent
// again until it was taken. An announcement on a topic cannot be taken back and
// has no such key: it is sent again only when SNS itself said that it failed,
// never when the answer was lost, because then it may have been heard.
//
// What is sent is redacted once more, here, where it leaves the program. The
// routing key of PagerDuty is in no error.
package escalate

import (
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// text redacts s and cuts it after limit runes.
func text(s string, limit int) string {
	return runbook.Clip(redact.Text(s), limit)
}

// lines redacts and cuts every line, and leaves out those above most.
func lines(evidence []string, most int) []string {
	out := make([]string, 0, len(evidence))
	for _, e := range evidence {
		if len(out) == most {
			out = append(out, "… more in the incident channel")
			break
		}
		out = append(out, text(strings.ReplaceAll(e, "\n", " "), 500))
	}
	return out
}
