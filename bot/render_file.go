package bot

import (
	"fmt"

	"jwksbot/runbook"
)

// file is something that is uploaded into a thread.
type file struct {
	Name    string // of the file
	Title   string // shown above it
	Alt     string // what a picture shows, for screen readers
	Comment string // finished markup, shown with it
	Content []byte
}

// chartFile is the picture of a series, drawn already.
func chartFile(s runbook.Series, name string, png []byte) file {
	return file{Name: name, Title: clip(s.Title, limitName), Alt: altText(s), Content: png}
}

// recordFile is the record of a run in Markdown, which somebody asked for.
func recordFile(r runbook.Run, by string, text []byte) file {
	return file{Name: "jwksbot-" + r.ID + ".md", Title: clip("Record of run "+r.ID+", "+r.Ticket, limitName), Content: text,
		Comment: fmt.Sprintf("The record of run %s (%s), asked for by <@%s>. It is Markdown, ready to be pasted into the review.", code(r.ID), code(r.Ticket), by)}
}
