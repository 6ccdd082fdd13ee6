package slacksim

import (
	"slices"
	"time"
)

// Block is one Block Kit block or element as it was posted. Blocks of a stored
// message have a block_id, their elements an action_id, as Slack gives them.
type Block = map[string]any

// Metadata is what an app says about its message to other apps.
type Metadata struct {
	EventType string         `json:"event_type"`
	Payload   map[string]any `json:"event_payload"`
}

// Message is one post in a channel or thread, or one private ("ephemeral") post.
type Message struct {
	TS       string
	ThreadTS string // of the parent when it is in a thread; a parent has its own
	Channel  string // id
	User     string // author
	Bot      bool   // posted by the app
	Text     string
	Blocks   []Block
	Metadata *Metadata
	Files    []string // ids

	Edits    int        // number of updates
	EditedTS string     // of the last update
	History  []Revision // what it said before, oldest first

	Replies   int // messages in its thread
	Reactions []string
	To        string // ephemeral: the only user who sees it
}

// Revision is what a message said until it was updated.
type Revision struct {
	Text     string
	Blocks   []Block
	Metadata *Metadata
}

// InThread says that the message is a reply.
func (m Message) InThread() bool { return m.ThreadTS != "" && m.ThreadTS != m.TS }

// File is one uploaded file.
type File struct {
	ID, Name, Title string
	AltText         string
	Bytes           []byte
	Done            bool // completed, that is shared or at least kept

	size int // announced
}

// Mention is one mention that a post of the app really made.
type Mention struct {
	Channel string
	TS      string
	Kind    string // user, channel, group, broadcast
	ID      string // user, channel or group id; channel, here or everyone
	To      string // ephemeral: only this user saw it
	Edited  bool   // came with an update: it is shown, but Slack notifies nobody
}

type trigger struct {
	user string
	at   time.Time
	used bool
}

// responseURL lets an app answer an interaction without being in the channel.
type responseURL struct {
	user    string
	channel string
	ts      string // message of the interaction, "" for commands
	private bool   // that message is ephemeral
	at      time.Time
	uses    int
}

// find returns a message of a channel, not the ephemeral ones. s.mu is held.
func (s *Sim) find(channel, ts string) *Message {
	for _, m := range s.messages[channel] {
		if m.TS == ts && m.To == "" {
			return m
		}
	}
	return nil
}

// findAny returns a message that user can see. s.mu is held.
func (s *Sim) findAny(channel, ts, user string) *Message {
	for _, m := range s.messages[channel] {
		if m.TS == ts && (m.To == "" || m.To == user) {
			return m
		}
	}
	return nil
}

// post stores a message, gives it its timestamp and tells who is mentioned.
// s.mu is held.
func (s *Sim) post(m *Message) *Message {
	m.TS = s.nextTS()
	s.fillIDs(m.Blocks)
	s.messages[m.Channel] = append(s.messages[m.Channel], m)
	if parent := s.find(m.Channel, m.ThreadTS); parent != nil && m.InThread() && m.To == "" {
		parent.ThreadTS = parent.TS
		parent.Replies++
	}
	if m.Bot {
		s.noteMentions(m)
	}
	s.record(journalLine{kind: linePost, channel: m.Channel, ts: m.TS, thread: m.ThreadTS, user: m.User, to: m.To, text: m.Text, blocks: m.Blocks, files: m.Files})
	return m
}

// Keep puts a message in place as it stood in an earlier workspace, under the
// timestamp that it had there.
func (s *Sim) Keep(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages[m.Channel] = append(s.messages[m.Channel], &m)
	s.touch()
}

// edit replaces what a message says. s.mu is held.
func (s *Sim) edit(m *Message, text string, blocks []Block, md *Metadata) {
	m.History = append(m.History, Revision{Text: m.Text, Blocks: m.Blocks, Metadata: m.Metadata})
	s.fillIDs(blocks)
	m.Text, m.Blocks, m.Metadata = text, blocks, md
	m.Edits++
	m.EditedTS = s.nextTS()
	s.noteMentions(m)
	s.record(journalLine{kind: lineUpdate, channel: m.Channel, ts: m.TS, thread: m.ThreadTS, user: m.User, to: m.To, text: m.Text, blocks: m.Blocks})
}

// remove deletes a message. s.mu is held.
func (s *Sim) remove(m *Message) {
	list := s.messages[m.Channel]
	i := slices.Index(list, m)
	if i < 0 {
		return
	}
	s.messages[m.Channel] = slices.Delete(list, i, i+1)
	if parent := s.find(m.Channel, m.ThreadTS); parent != nil && m.InThread() && m.To == "" {
		parent.Replies--
	}
	s.record(journalLine{kind: lineDelete, channel: m.Channel, ts: m.TS, thread: m.ThreadTS, user: m.User, to: m.To})
}

// fillIDs gives blocks and elements the ids that the app left out. s.mu is held.
func (s *Sim) fillIDs(blocks []Block) {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	for _, b := range blocks {
		if text(b, "block_id") == "" {
			b["block_id"] = s.letters(5, alphabet)
		}
		for _, e := range elementsOf(b) {
			if interactive(text(e, "type")) && text(e, "action_id") == "" {
				e["action_id"] = s.letters(5, alphabet)
			}
		}
	}
}

// elementsOf returns the elements of a block that may be interactive: those of
// actions, the accessory of a section, the element of an input.
func elementsOf(b Block) []Block {
	var out []Block
	for _, e := range list(b, "elements") {
		if m, ok := e.(obj); ok && text(b, "type") != "rich_text" {
			out = append(out, m)
		}
	}
	for _, name := range []string{"accessory", "element"} {
		if m, ok := b[name].(obj); ok {
			out = append(out, m)
		}
	}
	return out
}

func text(m obj, name string) string { s, _ := m[name].(string); return s }

func list(m obj, name string) []any { l, _ := m[name].([]any); return l }
