package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrInput: the person's own client refused the submission, because a required
// input is blank or a text is out of its bounds. View.Errors says which.
var ErrInput = errors.New("input refused by the client")

// Submit fills in a modal (block id, action id: a string, or a list of strings)
// and submits it. What values does not name stays as it is. viewID "" means the
// modal on top. The app's answer is applied: errors, update, push, clear, or
// the modal closes.
func (s *Sim) Submit(user, viewID string, values map[string]map[string]any) *Delivery {
	s.mu.Lock()
	v, payload, err := s.submission(user, viewID, values)
	s.touch()
	s.mu.Unlock()
	if err != nil {
		return &Delivery{Err: err}
	}
	d := s.deliver("interactive", payload, true, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.touch()
	if d.Err != nil {
		v.Trouble = "We had some trouble connecting. Try again?"
		s.record(journalLine{kind: lineTrouble, user: user, text: v.Title + ": " + d.Err.Error()})
		return d
	}
	if s.views[v.ID] != v {
		return d // closed meanwhile
	}
	if err := s.applySubmission(v, d.Payload); err != nil {
		v.Trouble = "We had some trouble connecting. Try again?"
		d.Err = err
	}
	return d
}

func (s *Sim) submission(user, viewID string, values map[string]map[string]any) (*View, obj, error) {
	u, ok := s.user(user)
	v := s.top(user)
	if !ok || v == nil || (viewID != "" && v.ID != viewID) {
		return nil, nil, fmt.Errorf("slack workspace: %q sees no modal %q", user, viewID)
	}
	for blockID, acts := range values {
		for actionID, val := range acts {
			_, e := findElement(v.Blocks, blockID, actionID)
			if e == nil {
				return nil, nil, fmt.Errorf("slack workspace: modal has no input %q in block %q", actionID, blockID)
			}
			state, err := chosen(e, val)
			if err != nil {
				return nil, nil, fmt.Errorf("slack workspace: %w", err)
			}
			v.values[blockID][actionID] = state
		}
	}
	v.Trouble = ""
	if v.Errors = inputErrors(v); len(v.Errors) > 0 {
		return nil, nil, ErrInput
	}
	s.record(journalLine{kind: lineSubmit, user: user, text: v.Title, values: flatValues(v)})
	_, p := s.interaction(u)
	p["type"] = "view_submission"
	p["view"] = s.wireView(v)
	p["response_urls"] = []any{}
	return v, p, nil
}

// applySubmission does what the app answered to a submission.
func (s *Sim) applySubmission(v *View, payload json.RawMessage) error {
	var p struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   obj               `json:"view"`
	}
	if len(payload) > 0 {
		if err := json.Unmarshal(payload, &p); err != nil {
			return fmt.Errorf("slack workspace: acknowledgement of a submission: %w", err)
		}
	}
	switch p.Action {
	case "":
		s.pop(v.User)
	case "clear":
		s.dropStack(v.User)
	case "errors":
		return s.showErrors(v, p.Errors)
	case "update", "push":
		if err := viewProblem(p.View, "modal"); err != nil {
			return fmt.Errorf("slack workspace: view in the acknowledgement: %w", err)
		}
		if p.Action == "update" {
			s.replaceView(v, p.View)
			return nil
		}
		if len(s.stacks[v.User]) >= maxStack {
			return fmt.Errorf("slack workspace: %w", refuse("push_limit_reached"))
		}
		s.addView(v.User, p.View)
	default:
		return fmt.Errorf("slack workspace: unknown response_action %q", p.Action)
	}
	return nil
}

// showErrors puts the app's complaints at their inputs; a key that is no input
// block is refused, as Slack does.
func (s *Sim) showErrors(v *View, errs map[string]string) error {
	if len(errs) == 0 {
		return errors.New("slack workspace: response_action errors without errors")
	}
	for id := range errs {
		known := s.opt.Shortcuts == nil || slices.ContainsFunc(v.Blocks, func(b Block) bool { return text(b, "block_id") == id && text(b, "type") == "input" })
		if !known {
			return fmt.Errorf("slack workspace: errors name %q, which is no input block", id)
		}
	}
	v.Errors = errs
	s.record(journalLine{kind: lineInputErrors, user: v.User, text: v.Title, values: errs})
	return nil
}

// CloseView closes the modal on top with its cancel button. The app hears of it
// if the view asked for that; else the delivery is empty.
func (s *Sim) CloseView(user string) *Delivery {
	s.mu.Lock()
	u, ok := s.user(user)
	v := s.top(user)
	if !ok || v == nil {
		s.mu.Unlock()
		return failed("%q sees no modal", user)
	}
	_, p := s.interaction(u)
	p["type"], p["view"], p["is_cleared"] = "view_closed", s.wireView(v), false
	s.record(journalLine{kind: lineModalClose, user: user, text: v.Title})
	s.pop(user)
	s.touch()
	s.mu.Unlock()
	if !v.NotifyOnClose {
		return &Delivery{}
	}
	return s.deliver("interactive", p, false, nil)
}

// Shortcut uses a message shortcut of the app on a message.
func (s *Sim) Shortcut(user, channel, ts, callbackID string) *Delivery {
	s.mu.Lock()
	u, c, err := s.place(user, channel)
	if err != nil {
		s.mu.Unlock()
		return &Delivery{Err: err}
	}
	m := s.findAny(c.ID, ts, user)
	known := s.opt.Shortcuts == nil || slices.ContainsFunc(s.opt.Shortcuts, func(sc Shortcut) bool { return sc.CallbackID == callbackID })
	if m == nil || !known {
		s.mu.Unlock()
		return failed("no shortcut %q on message %s", callbackID, ts)
	}
	_, p := s.interaction(u)
	p["type"], p["callback_id"], p["action_ts"] = "message_action", callbackID, s.nextTS()
	p["channel"] = obj{"id": c.ID, "name": c.payloadName()}
	p["message_ts"], p["message"] = m.TS, s.wire(m)
	p["response_url"] = s.newResponseURL(responseURL{user: u.ID, channel: c.ID})
	s.record(journalLine{kind: lineShortcut, channel: c.ID, user: user, ts: ts, text: callbackID})
	s.mu.Unlock()

	d := s.deliver("interactive", p, false, nil)
	if d.Err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.whisper(user, c.ID, "", fmt.Sprintf("%s failed with the error \"%s\"", callbackID, d.Err))
	}
	return d
}

// OpenHome opens the app's Home tab, which tells the app so.
func (s *Sim) OpenHome(user string) *Delivery {
	s.mu.Lock()
	u, ok := s.user(user)
	if !ok {
		s.mu.Unlock()
		return failed("no user %q", user)
	}
	event := obj{"type": "app_home_opened", "user": user, "channel": s.direct(user).ID, "tab": "home", "event_ts": s.nextTS()}
	if h := s.homes[user]; h != nil {
		event["view"] = s.wireView(h)
	}
	payload := obj{
		"token": "verification-token", "team_id": u.team(), "api_app_id": AppID, "event": event,
		"type": "event_callback", "event_id": s.newID("Ev"), "event_time": s.opt.Clock.Now().Unix(),
		"authorizations":        []any{obj{"enterprise_id": nil, "team_id": TeamID, "user_id": BotUser, "is_bot": true, "is_enterprise_install": false}},
		"is_ext_shared_channel": false,
	}
	s.mu.Unlock()
	return s.deliverEvent(payload)
}

// flatValues are the filled-in inputs, for the transcript.
func flatValues(v *View) map[string]string {
	out := map[string]string{}
	for _, b := range v.Blocks {
		for actionID, val := range v.values[text(b, "block_id")] {
			if !isBlank(val) {
				out[actionID] = shown(val)
			}
		}
	}
	return out
}

// shown is a state value as a person reads it.
func shown(val obj) string {
	switch x := val[valueMember(text(val, "type"))].(type) {
	case string:
		return x
	case obj:
		return label(x, "text")
	case []any:
		out := ""
		for i, it := range x {
			if i > 0 {
				out += ", "
			}
			if m, ok := it.(obj); ok {
				out += label(m, "text")
			} else {
				out += fmt.Sprint(it)
			}
		}
		return out
	}
	return ""
}

// Limits of a response URL (docs.slack.dev, handling user interaction).
const (
	maxResponses = 5
	responseLife = 30 * time.Minute
)
