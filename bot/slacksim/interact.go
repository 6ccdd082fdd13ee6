package slacksim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

func failed(format string, args ...any) *Delivery {
	return &Delivery{Err: fmt.Errorf("slack workspace: "+format, args...)}
}

// interaction is what every payload of a person has in common. s.mu is held.
func (s *Sim) interaction(u User) (trig string, common obj) {
	trig = fmt.Sprintf("%d.%d.%s", time.Now().UnixMilli(), s.serial, s.letters(32, "0123456789abcdef"))
	s.triggers[trig] = &trigger{user: u.ID, at: time.Now()}
	return trig, obj{
		"token": "verification-token", "api_app_id": AppID, "trigger_id": trig,
		"team": obj{"id": TeamID, "domain": teamDomain}, "enterprise": nil, "is_enterprise_install": false,
		"user": obj{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.team()},
	}
}

func (s *Sim) newResponseURL(r responseURL) string {
	id := s.letters(24, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789")
	r.at = time.Now()
	s.responses[id] = &r
	return s.base + "/response/" + id
}

// place finds user and channel of an interaction. s.mu is held.
func (s *Sim) place(user, channel string) (User, *Channel, error) {
	u, ok := s.user(user)
	if !ok {
		return u, nil, fmt.Errorf("slack workspace: no user %q", user)
	}
	c := s.channel(channel)
	if c == nil || !c.has(user) {
		return u, nil, fmt.Errorf("slack workspace: user %q is not in channel %q", user, channel)
	}
	return u, c, nil
}

// Say posts a message of a person in a channel (id or name), or in the thread
// of threadTS, and returns its timestamp. The app hears nothing of it.
func (s *Sim) Say(user, channel, threadTS, words string) (ts string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, c, err := s.place(user, channel)
	if err != nil {
		return "", err
	}
	thread, err := s.threadOf(c.ID, threadTS)
	if err != nil {
		return "", err
	}
	m := s.post(&Message{Channel: c.ID, ThreadTS: thread, User: user, Text: words})
	s.touch()
	return m.TS, nil
}

// Command types a slash command in a channel (id or name) and waits for its
// acknowledgement. A text in the acknowledgement is shown as Slack shows it.
func (s *Sim) Command(user, channel, line string) *Delivery {
	name, words, _ := strings.Cut(strings.TrimSpace(line), " ")
	s.mu.Lock()
	u, c, err := s.place(user, channel)
	if err != nil {
		s.mu.Unlock()
		return &Delivery{Err: err}
	}
	s.record(journalLine{kind: lineCommand, channel: c.ID, user: user, text: line})
	if s.opt.Commands != nil && !slices.ContainsFunc(s.opt.Commands, func(h CommandHelp) bool { return h.Command == name }) {
		s.whisper(u.ID, c.ID, "", fmt.Sprintf("%s is not a valid command.", escape(name)))
		s.mu.Unlock()
		return failed("%s is not a valid command", name)
	}
	payload := s.commandPayload(u, c, name, strings.TrimSpace(words))
	s.mu.Unlock()

	d := s.deliver("slash_commands", payload, true, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.touch()
	if d.Err != nil {
		s.whisper(u.ID, c.ID, "", fmt.Sprintf("%s failed with the error \"%s\"", name, d.Err))
		return d
	}
	s.showAck(u.ID, c.ID, d.Payload)
	return d
}

func (s *Sim) commandPayload(u User, c *Channel, name, words string) obj {
	trig, common := s.interaction(u)
	return obj{
		"token": common["token"], "team_id": u.team(), "team_domain": teamDomain,
		"channel_id": c.ID, "channel_name": c.payloadName(), "user_id": u.ID, "user_name": u.Name,
		"command": name, "text": words, "api_app_id": AppID, "is_enterprise_install": "false",
		"response_url": s.newResponseURL(responseURL{user: u.ID, channel: c.ID}), "trigger_id": trig,
	}
}

// whisper is what the workspace itself tells one person. s.mu is held.
func (s *Sim) whisper(user, channel, thread, words string) {
	s.post(&Message{Channel: channel, ThreadTS: thread, User: SystemUser, To: user, Text: words})
	s.touch()
}

// showAck shows the message that came with the acknowledgement of a command.
func (s *Sim) showAck(user, channel string, payload json.RawMessage) {
	var p obj
	if json.Unmarshal(payload, &p) != nil || (text(p, "text") == "" && len(list(p, "blocks")) == 0) {
		return
	}
	m := &Message{Channel: channel, User: BotUser, Bot: true, Text: text(p, "text"), To: user}
	if raw := p["blocks"]; raw != nil {
		blocks, err := checkMessageBlocks(raw)
		if err != nil {
			return // Slack drops an answer with bad blocks without telling anyone
		}
		m.Blocks = blocks
	}
	if text(p, "response_type") == "in_channel" {
		m.To = ""
	}
	s.post(m)
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func escape(s string) string { return escaper.Replace(s) }
