package slacksim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// lineKind is what a journal line tells.
type lineKind int

const (
	linePost lineKind = iota
	lineUpdate
	lineDelete
	lineCommand
	lineClick
	lineShortcut
	lineModal
	lineModalUpdate
	lineModalClose
	lineSubmit
	lineInputErrors
	lineHome
	lineTrouble
)

// journalLine is one thing that somebody could have seen.
type journalLine struct {
	kind                   lineKind
	channel, ts, thread    string
	user, to, text, submit string
	blocks                 []Block
	files                  []string
	values                 map[string]string
}

// record appends to the journal and wakes who waits. s.mu is held.
func (s *Sim) record(l journalLine) {
	s.journal = append(s.journal, l)
	s.touch()
}

// Transcript prints everything that happened since the start, oldest first, as
// plain text for golden files: commands, clicks, posts, updates, private
// messages, modals. Messages are called m1, m2, … in order of posting, users by
// their handles. replace, if given, runs over the whole text, for what else
// moves (durations, run ids).
func (s *Sim) Transcript(replace ...func(string) string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &printer{sim: s, names: map[string]string{}}
	for _, l := range s.journal {
		p.line(l)
	}
	out := p.out.String()
	for ts, name := range p.names {
		out = strings.ReplaceAll(out, ts, name)
	}
	for _, f := range replace {
		out = f(out)
	}
	return out
}

type printer struct {
	sim   *Sim
	out   strings.Builder
	names map[string]string // ts: m1
}

func (p *printer) name(ts string) string {
	if p.names[ts] == "" {
		p.names[ts] = fmt.Sprintf("m%d", len(p.names)+1)
	}
	return p.names[ts]
}

func (p *printer) user(id string) string {
	if u, ok := p.sim.user(id); ok {
		return u.Name
	}
	return id
}

func (p *printer) place(l journalLine) string {
	for _, c := range p.sim.channels {
		if c.ID == l.channel && c.IM != "" {
			return "@" + p.user(c.IM)
		}
		if c.ID == l.channel {
			return "#" + c.Name
		}
	}
	return ""
}

func (p *printer) line(l journalLine) {
	who := p.user(l.user)
	switch l.kind {
	case linePost, lineUpdate, lineDelete:
		p.message(l, who)
	case lineCommand:
		p.headf("%s %s> %s", p.place(l), who, l.text)
	case lineClick:
		if l.ts == "" {
			p.headf("%s clicks %s", who, l.text)
			return
		}
		p.headf("%s %s clicks %s on %s", p.place(l), who, l.text, p.name(l.ts))
	case lineShortcut:
		p.headf("%s %s uses %s on %s", p.place(l), who, l.text, p.name(l.ts))
	case lineModal, lineModalUpdate:
		verb := map[lineKind]string{lineModal: "sees", lineModalUpdate: "sees again"}[l.kind]
		p.headf("%s %s modal %q", who, verb, l.text)
		p.body(l)
		if l.submit != "" {
			p.bodyf("[%s]", l.submit)
		}
	case lineModalClose:
		p.headf("%s closes modal %q", who, l.text)
	case lineSubmit, lineInputErrors:
		verb := map[lineKind]string{lineSubmit: "submits", lineInputErrors: "is told in"}[l.kind]
		p.headf("%s %s modal %q", who, verb, l.text)
		for _, k := range slices.Sorted(maps.Keys(l.values)) {
			p.bodyf("%s: %s", k, l.values[k])
		}
	case lineHome:
		p.headf("home of %s", who)
		p.body(l)
	case lineTrouble:
		p.headf("%s sees trouble: %s", who, l.text)
	}
}

func (p *printer) message(l journalLine, who string) {
	head := fmt.Sprintf("%s %s %s", p.place(l), who, p.name(l.ts))
	if l.thread != "" && l.thread != l.ts {
		head += " in thread of " + p.name(l.thread)
	}
	switch l.kind {
	case lineUpdate:
		head += " updated"
	case lineDelete:
		head += " deleted"
	}
	if l.to != "" {
		head += " (only " + p.user(l.to) + " sees it)"
	}
	p.headf("%s", head)
	p.body(l)
}

func (p *printer) headf(format string, args ...any) {
	fmt.Fprintf(&p.out, format+"\n", args...)
}

func (p *printer) bodyf(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		p.out.WriteString(strings.TrimRight("    "+line, " ") + "\n")
	}
}

// body prints the fallback text, then the blocks, then the files.
func (p *printer) body(l journalLine) {
	isView := l.kind == lineModal || l.kind == lineModalUpdate || l.kind == lineHome
	if l.text != "" && !isView {
		p.bodyf("%s", l.text)
	}
	if len(l.blocks) > 0 && !isView {
		p.bodyf("--")
	}
	for _, b := range l.blocks {
		for _, t := range blockLines(b) {
			p.bodyf("%s", t)
		}
	}
	for _, id := range l.files {
		if f := p.sim.files[id]; f != nil {
			p.bodyf("file %s: %s (%d bytes)", f.Name, f.Title, len(f.Bytes))
		}
	}
}
