package authoriser

import (
	"regexp"
	"strings"
	"sync"
	"time"

	"jwksbot/runbook"
)

// maxDescription is the limit of Lambda for a description (API reference,
// UpdateFunctionConfiguration).
const maxDescription = 256

// oldMark is what an earlier run wrote before the description.
var oldMark = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^jwksbot \S+ \S+(?: \| )?`)
})

// marked returns the description with the mark of a run before it, in place of
// an earlier mark, cut to what Lambda takes.
func marked(description, run string, at time.Time) string {
	mark := "jwksbot " + run + " " + at.UTC().Format(time.RFC3339)
	if rest := oldMark().ReplaceAllString(description, ""); rest != "" {
		mark += " | " + rest
	}
	return runbook.Clip(mark, maxDescription)
}

// markedBy says that a run wrote this description.
func markedBy(description *string, run string) bool {
	return description != nil && strings.HasPrefix(*description, "jwksbot "+run+" ")
}
