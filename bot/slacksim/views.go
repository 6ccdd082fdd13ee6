package slacksim

import (
	"maps"
	"time"
)

// maxStack is the most modals that lie on each other (docs.slack.dev, modals).
const maxStack = 3

// View is one modal, or somebody's App Home.
type View struct {
	ID         string
	User       string
	Type       string // modal or home
	CallbackID string
	ExternalID string
	Hash       string
	Title      string
	Submit     string // label of the submit button, "" when there is none
	CloseLabel string
	Private    string // private_metadata
	Blocks     []Block
	Updates    int
	Errors     map[string]string // block id: what the app said is wrong with the input
	Trouble    string            // what went wrong with the last submission, as the user is told

	NotifyOnClose bool
	ClearOnClose  bool
	values        map[string]map[string]obj // what is filled in so far: block id, action id
}

func (v View) clone() View {
	v.Errors = maps.Clone(v.Errors)
	return v
}

// useTrigger takes a trigger id: it lives for three seconds and works once.
func (s *Sim) useTrigger(id string) (user string, err error) {
	t := s.triggers[id]
	switch {
	case t == nil:
		return "", refuse("invalid_trigger_id")
	case t.used:
		return "", refuse("exchanged_trigger_id")
	case time.Since(t.at) > s.opt.TriggerLife:
		return "", refuse("expired_trigger_id")
	}
	t.used = true
	return t.user, nil
}

func (s *Sim) viewOpen(c *call) (obj, error) { return s.openOn(c, false) }
func (s *Sim) viewPush(c *call) (obj, error) { return s.openOn(c, true) }

func (s *Sim) openOn(c *call, push bool) (obj, error) {
	raw, err := s.checkView(c, "modal")
	if err != nil {
		return nil, err
	}
	trig := c.str("trigger_id")
	if trig == "" {
		trig = c.str("interactivity_pointer")
	}
	user, err := s.useTrigger(trig)
	if err != nil {
		return nil, err
	}
	switch {
	case push && len(s.stacks[user]) == 0:
		return nil, refuse("not_found")
	case push && len(s.stacks[user]) >= maxStack:
		return nil, refuse("push_limit_reached")
	case !push:
		s.dropStack(user)
	}
	v := s.addView(user, raw)
	return obj{"view": s.wireView(v)}, nil
}

// addView puts a modal on top of a user's stack.
func (s *Sim) addView(user string, raw obj) *View {
	v := &View{ID: s.newID("V"), User: user}
	s.fillView(v, raw)
	s.views[v.ID] = v
	s.stacks[user] = append(s.stacks[user], v.ID)
	s.record(journalLine{kind: lineModal, user: user, text: v.Title, blocks: v.Blocks, submit: v.Submit})
	return v
}

func (s *Sim) fillView(v *View, raw obj) {
	v.Type = text(raw, "type")
	v.CallbackID, v.ExternalID, v.Private = text(raw, "callback_id"), text(raw, "external_id"), text(raw, "private_metadata")
	v.Title, v.Submit, v.CloseLabel = label(raw, "title"), label(raw, "submit"), label(raw, "close")
	v.NotifyOnClose, _ = raw["notify_on_close"].(bool)
	v.ClearOnClose, _ = raw["clear_on_close"].(bool)
	v.Blocks = toBlocks(list(raw, "blocks"))
	s.fillIDs(v.Blocks)
	v.Hash = s.nextTS() + "." + s.letters(8, "abcdefghijklmnopqrstuvwxyz0123456789")
	v.Errors, v.Trouble = nil, ""
	// An input keeps what was typed as long as its ids stay the same.
	old := v.values
	v.values = initialValues(v.Blocks)
	for b, acts := range v.values {
		for a := range acts {
			if kept, ok := old[b][a]; ok {
				acts[a] = kept
			}
		}
	}
}

func label(raw obj, name string) string {
	m, _ := raw[name].(obj)
	return text(m, "text")
}

func (s *Sim) viewUpdate(c *call) (obj, error) {
	raw, err := s.checkView(c, "modal")
	if err != nil {
		return nil, err
	}
	v := s.views[c.str("view_id")]
	if ext := c.str("external_id"); ext != "" {
		v = s.byExternal(ext)
	}
	if v == nil {
		return nil, refuse("not_found")
	}
	if h := c.str("hash"); h != "" && h != v.Hash {
		return nil, refuse("hash_conflict")
	}
	s.replaceView(v, raw)
	return obj{"view": s.wireView(v)}, nil
}

func (s *Sim) replaceView(v *View, raw obj) {
	s.fillView(v, raw)
	v.Updates++
	s.record(journalLine{kind: lineModalUpdate, user: v.User, text: v.Title, blocks: v.Blocks, submit: v.Submit})
}

func (s *Sim) byExternal(id string) *View {
	for _, v := range s.views {
		if v.ExternalID == id {
			return v
		}
	}
	return nil
}

func (s *Sim) viewPublish(c *call) (obj, error) {
	raw, err := s.checkView(c, "home")
	if err != nil {
		return nil, err
	}
	user := c.str("user_id")
	if _, ok := s.user(user); !ok {
		return nil, refuse("user_not_found")
	}
	v := s.homes[user]
	if h := c.str("hash"); h != "" && v != nil && h != v.Hash {
		return nil, refuse("hash_conflict")
	}
	if v == nil {
		v = &View{ID: s.newID("V"), User: user}
		s.homes[user] = v
	}
	s.fillView(v, raw)
	v.Updates++
	s.record(journalLine{kind: lineHome, user: user, blocks: v.Blocks})
	return obj{"view": s.wireView(v)}, nil
}

// dropStack closes every modal of a user without telling the app.
func (s *Sim) dropStack(user string) {
	for _, id := range s.stacks[user] {
		delete(s.views, id)
	}
	delete(s.stacks, user)
}

// top is the modal that a user sees, nil when there is none.
func (s *Sim) top(user string) *View {
	st := s.stacks[user]
	if len(st) == 0 {
		return nil
	}
	return s.views[st[len(st)-1]]
}

// pop closes the modal on top.
func (s *Sim) pop(user string) {
	if v := s.top(user); v != nil {
		delete(s.views, v.ID)
		s.stacks[user] = s.stacks[user][:len(s.stacks[user])-1]
	}
}

// wireView is a view as the API and payloads show it.
func (s *Sim) wireView(v *View) obj {
	plain := func(t string) any {
		if t == "" {
			return nil
		}
		return obj{"type": "plain_text", "text": t, "emoji": true}
	}
	root, prev := v.ID, ""
	for i, id := range s.stacks[v.User] {
		if i == 0 {
			root = id
		}
		if id == v.ID {
			break
		}
		prev = id
	}
	values := obj{}
	for b, acts := range v.values {
		m := obj{}
		for a, val := range acts {
			m[a] = val
		}
		values[b] = m
	}
	return obj{
		"id": v.ID, "team_id": TeamID, "type": v.Type, "callback_id": v.CallbackID, "external_id": v.ExternalID,
		"title": plain(v.Title), "submit": plain(v.Submit), "close": plain(v.CloseLabel),
		"blocks": v.Blocks, "private_metadata": v.Private, "hash": v.Hash, "state": obj{"values": values},
		"root_view_id": root, "previous_view_id": prev, "app_id": AppID, "bot_id": BotID, "app_installed_team_id": TeamID,
		"clear_on_close": v.ClearOnClose, "notify_on_close": v.NotifyOnClose,
	}
}
