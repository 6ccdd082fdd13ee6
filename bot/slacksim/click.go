package slacksim

import (
	"fmt"
	"slices"
)

// ClickOption says more about a click.
type ClickOption func(*click)

type click struct {
	block   string
	value   any
	dismiss bool
	earlier bool
}

// InBlock names the block of the element where several have the same action id.
func InBlock(blockID string) ClickOption { return func(c *click) { c.block = blockID } }

// Choose is the option's value, or values, that the person picks in a select
// menu or a list of checkboxes.
func Choose(value any) ClickOption { return func(c *click) { c.value = value } }

// Dismiss answers the element's confirmation dialog with no: nothing is sent.
func Dismiss() ClickOption { return func(c *click) { c.dismiss = true } }

// AsItStood presses the element as it stood in the newest earlier version of
// the message that has it: a client that has not seen the update yet.
func AsItStood() ClickOption { return func(c *click) { c.earlier = true } }

// Click presses a button, or changes another element, of a message and waits
// for the acknowledgement. A confirmation dialog is answered with yes.
func (s *Sim) Click(user, channel, ts, actionID string, opts ...ClickOption) *Delivery {
	var k click
	for _, o := range opts {
		o(&k)
	}
	s.mu.Lock()
	payload, label, err := s.clickPayload(user, channel, ts, actionID, k)
	if err != nil {
		s.mu.Unlock()
		return &Delivery{Err: err}
	}
	if payload == nil {
		s.mu.Unlock()
		return &Delivery{} // dismissed
	}
	c := s.channel(channel)
	s.record(journalLine{kind: lineClick, channel: c.ID, user: user, ts: ts, text: label})
	s.mu.Unlock()

	d := s.deliver("interactive", payload, false, nil)
	if d.Err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.record(journalLine{kind: lineTrouble, channel: c.ID, user: user, text: label + ": " + d.Err.Error()})
		s.touch()
	}
	return d
}

func (s *Sim) clickPayload(user, channel, ts, actionID string, k click) (payload obj, label string, err error) {
	u, c, err := s.place(user, channel)
	if err != nil {
		return nil, "", err
	}
	m := s.findAny(c.ID, ts, user)
	if m == nil {
		return nil, "", fmt.Errorf("slack workspace: %q sees no message %s in %q", user, ts, channel)
	}
	b, e := findElement(m.Blocks, k.block, actionID)
	for i := len(m.History) - 1; k.earlier && e == nil && i >= 0; i-- {
		b, e = findElement(m.History[i].Blocks, k.block, actionID)
	}
	if e == nil {
		return nil, "", fmt.Errorf("slack workspace: message %s has no element %q", ts, actionID)
	}
	if e["confirm"] != nil && k.dismiss {
		return nil, "", nil
	}
	act, values, err := s.action(b, e, k.value)
	if err != nil {
		return nil, "", err
	}
	_, p := s.interaction(u)
	p["type"] = "block_actions"
	container := obj{"type": "message", "message_ts": m.TS, "channel_id": c.ID, "is_ephemeral": m.To != ""}
	if m.InThread() {
		container["thread_ts"] = m.ThreadTS
	}
	p["container"] = container
	p["channel"] = obj{"id": c.ID, "name": c.payloadName()}
	if m.To == "" {
		p["message"] = s.wire(m) // Slack leaves private messages out
	}
	p["state"] = obj{"values": values}
	p["response_url"] = s.newResponseURL(responseURL{user: u.ID, channel: c.ID, ts: m.TS, private: m.To != ""})
	p["actions"] = []any{act}
	return p, "[" + labelOf(e) + "]", nil
}

func labelOf(e Block) string {
	if l := label(e, "text"); l != "" {
		return l
	}
	return text(e, "action_id")
}

// findElement finds an interactive element by its action id, in one block if
// that is named.
func findElement(blocks []Block, blockID, actionID string) (b, e Block) {
	for _, b := range blocks {
		if blockID != "" && text(b, "block_id") != blockID {
			continue
		}
		i := slices.IndexFunc(elementsOf(b), func(e Block) bool {
			return interactive(text(e, "type")) && text(e, "action_id") == actionID
		})
		if i >= 0 {
			return b, elementsOf(b)[i]
		}
	}
	return nil, nil
}

// action is one entry of "actions", with the state that it leaves.
func (s *Sim) action(b, e Block, value any) (act, values obj, err error) {
	kind := text(e, "type")
	act = obj{"type": kind, "action_id": text(e, "action_id"), "block_id": text(b, "block_id"), "action_ts": s.nextTS()}
	values = obj{}
	if kind == "button" || kind == "workflow_button" {
		for _, name := range []string{"text", "value", "style", "url", "confirm"} {
			if v, ok := e[name]; ok {
				act[name] = v
			}
		}
		return act, values, nil
	}
	val, err := chosen(e, value)
	if err != nil {
		return nil, nil, err
	}
	for k, v := range val {
		act[k] = v
	}
	values[text(b, "block_id")] = obj{text(e, "action_id"): val}
	return act, values, nil
}

// ClickView presses a button, or changes another element, in the modal or the
// App Home that the user sees.
func (s *Sim) ClickView(user, viewID, actionID string, opts ...ClickOption) *Delivery {
	var k click
	for _, o := range opts {
		o(&k)
	}
	s.mu.Lock()
	payload, label, err := s.viewClickPayload(user, viewID, actionID, k)
	if err != nil || payload == nil {
		s.mu.Unlock()
		return &Delivery{Err: err}
	}
	s.record(journalLine{kind: lineClick, user: user, text: label})
	s.mu.Unlock()
	return s.deliver("interactive", payload, false, nil)
}

func (s *Sim) viewClickPayload(user, viewID, actionID string, k click) (payload obj, label string, err error) {
	u, ok := s.user(user)
	v := s.seen(user, viewID)
	if !ok || v == nil {
		return nil, "", fmt.Errorf("slack workspace: %q sees no view %q", user, viewID)
	}
	b, e := findElement(v.Blocks, k.block, actionID)
	if e == nil {
		return nil, "", fmt.Errorf("slack workspace: view %q has no element %q", viewID, actionID)
	}
	if e["confirm"] != nil && k.dismiss {
		return nil, "", nil
	}
	act, _, err := s.action(b, e, k.value)
	if err != nil {
		return nil, "", err
	}
	if isInput(text(e, "type")) {
		v.values[text(b, "block_id")][text(e, "action_id")], _ = chosen(e, k.value)
	}
	_, p := s.interaction(u)
	p["type"] = "block_actions"
	p["container"] = obj{"type": "view", "view_id": v.ID}
	p["view"] = s.wireView(v)
	p["actions"] = []any{act}
	return p, "[" + labelOf(e) + "]", nil
}

// seen is the view that a user has in front of them: a modal or the home.
func (s *Sim) seen(user, viewID string) *View {
	if h := s.homes[user]; h != nil && (h.ID == viewID || viewID == "") && s.top(user) == nil {
		return h
	}
	if v := s.top(user); v != nil && (v.ID == viewID || viewID == "") {
		return v
	}
	return nil
}
