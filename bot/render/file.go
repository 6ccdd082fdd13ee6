package render

import (
	"fmt"

	"jwksbot/runbook"
)

// File is something that is uploaded into a thread.
type File struct {
	Name    string // of the file
	Title   string // shown above it
	Alt     string // what a picture shows, for screen readers
	Comment string // finished markup, shown with it
	Content []byte
}

// Chart is the picture of a series, drawn already.
func Chart(s runbook.Series, name string, png []byte) File {
	return File{Name: name, Title: runbook.Clip(s.Title, LimitName), Alt: altText(s), Content: png}
}

// Record is the record of a run in Markdown, which somebody asked for.
func Record(r runbook.Run, by string, text []byte) File {
	return File{Name: "jwksbot-" + r.ID + ".md", Title: runbook.Clip("Record of run "+r.ID+", "+r.Ticket, LimitName), Content: text,
		Comment: fmt.Sprintf("The record of run %s (%s), asked for by <@%s>. It is Markdown, ready to be pasted into the review.", Code(r.ID), Code(r.Ticket), by)}
}
