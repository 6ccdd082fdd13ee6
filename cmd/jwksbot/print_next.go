package main

import (
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/record"
)

// next prints what the runbook says next about a run, and what may be done any
// time, each with the command that requests it.
func (p *printer) next(r runbook.Run) {
	for _, step := range record.NextSteps(r) {
		req, ok := record.RequestFor(r, step.Kind, "", runbook.ViaTerminal)
		if !ok {
			continue // no command does it
		}
		word := "next:"
		if step.Option {
			word = "possible:"
		}
		p.line("  %s %s (%s)", p.bold(word), step.Label, clean(step.Why))
		p.whole("    %s", requestLine(req))
	}
}

// requestLine is the command that requests a mitigation. The reason is for the
// person to write; an undo has that of its run.
func requestLine(req approve.Request) string {
	words := []string{"jwksbot", "flush", req.Target}
	if req.RestoreOf != "" {
		words = []string{"jwksbot", "restore", req.RestoreOf}
	}
	add := func(flag string, on bool) {
		if on {
			words = append(words, flag)
		}
	}
	restore := req.RestoreOf != ""
	add("--force", restore && req.Force)
	add("--scope=all", !restore && req.Scope == runbook.ScopeAll)
	add("--direct", !restore && req.Direct)
	add("--no-flush", !restore && req.NoFlush)
	add("--restart", req.Restart)
	add("--gateway", req.Gateway)
	if restore {
		return strings.Join(words, " ")
	}
	ticket := req.Ticket
	if ticket == "" {
		ticket = "INC-…"
	}
	return strings.Join(append(words, "--ticket", ticket, "--reason '…'"), " ")
}
