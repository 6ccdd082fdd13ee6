package slacksim

import (
	"maps"
	"slices"
)

// Messages returns what everybody sees in a channel (id or name), oldest
// first, without the replies in threads.
func (s *Sim) Messages(channel string) []Message {
	return s.pick(channel, func(m *Message) bool { return m.To == "" && !m.InThread() })
}

// Thread returns the replies in the thread of a message, oldest first.
func (s *Sim) Thread(channel, ts string) []Message {
	return s.pick(channel, func(m *Message) bool { return m.To == "" && m.InThread() && m.ThreadTS == ts })
}

// Ephemerals returns what only user sees in a channel, oldest first.
func (s *Sim) Ephemerals(user, channel string) []Message {
	return s.pick(channel, func(m *Message) bool { return m.To == user })
}

// Message returns one message that everybody sees.
func (s *Sim) Message(channel, ts string) (Message, bool) {
	got := s.pick(channel, func(m *Message) bool { return m.To == "" && m.TS == ts })
	if len(got) == 0 {
		return Message{}, false
	}
	return got[0], true
}

// Direct returns the id of the user's direct messages with the bot.
func (s *Sim) Direct(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.direct(user).ID
}

func (s *Sim) pick(channel string, want func(*Message) bool) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channel(channel)
	if c == nil {
		return nil
	}
	var out []Message
	for _, m := range s.messages[c.ID] {
		if want(m) {
			out = append(out, m.clone())
		}
	}
	return out
}

// clone copies what may change; blocks never do, they are replaced.
func (m *Message) clone() Message {
	c := *m
	c.Blocks, c.Files = slices.Clone(m.Blocks), slices.Clone(m.Files)
	c.History, c.Reactions = slices.Clone(m.History), slices.Clone(m.Reactions)
	return c
}

// Buttons returns the labels of a message's buttons by action id.
func (m Message) Buttons() map[string]string {
	out := map[string]string{}
	for _, b := range m.Blocks {
		for _, e := range elementsOf(b) {
			if text(e, "type") == "button" {
				out[text(e, "action_id")] = label(e, "text")
			}
		}
	}
	return out
}

// View returns the modal that user sees, false when there is none.
func (s *Sim) View(user string) (View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.top(user)
	if v == nil {
		return View{}, false
	}
	return v.clone(), true
}

// Home returns user's App Home, false when none was published.
func (s *Sim) Home(user string) (View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.homes[user]
	if v == nil {
		return View{}, false
	}
	return v.clone(), true
}

// Files returns the files that were uploaded completely, in order of id.
func (s *Sim) Files() []File {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []File
	for _, id := range slices.Sorted(maps.Keys(s.files)) {
		if f := s.files[id]; f.Done {
			out = append(out, *f)
		}
	}
	return out
}

// Calls returns the bot's calls of a method in order, the refused ones too.
// "response_url" stands for posts to response URLs.
func (s *Sim) Calls(method string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls[method])
}

// Mentions returns the mentions that the app's posts made in a channel (id or
// name), in threads, private messages and updates too.
func (s *Sim) Mentions(channel string) []Mention {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Mention
	c := s.channel(channel)
	for _, m := range s.mentions {
		if c != nil && m.Channel == c.ID {
			out = append(out, m)
		}
	}
	return out
}
