package slacksim

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Lengths of message texts in characters (docs.slack.dev, chat.postMessage and
// chat.update).
const (
	maxPostText   = 40000 // longer texts are cut
	maxUpdateText = 4000
)

func (s *Sim) authTest(c *call) (obj, error) {
	return obj{
		"url": c.base + "/", "team": s.opt.Workspace, "user": "jwksbot",
		"team_id": TeamID, "user_id": BotUser, "bot_id": BotID, "is_enterprise_install": false,
	}, nil
}

// botChannel finds a channel for a call and checks that the bot is in it.
func (s *Sim) botChannel(id string) (*Channel, error) {
	ch := s.visible(id)
	switch {
	case ch == nil:
		return nil, refuse("channel_not_found")
	case ch.Archived:
		return nil, refuse("is_archived")
	case !ch.has(BotUser):
		return nil, refuse("not_in_channel")
	}
	return ch, nil
}

// visible finds a channel by id that the bot may know of: private ones only
// when it is a member.
func (s *Sim) visible(id string) *Channel {
	for _, ch := range s.channels {
		if ch.ID == id && (!ch.Private || ch.has(BotUser)) {
			return ch
		}
	}
	return nil
}

// content is what a message is to say.
type content struct {
	text   string
	blocks []Block
	md     *Metadata
}

func (s *Sim) content(c *call) (content, error) {
	var out content
	out.text = c.str("text")
	raw, err := c.data("blocks")
	if err != nil {
		return out, &apiError{code: "invalid_blocks_format"}
	}
	if raw != nil {
		if out.blocks, err = checkMessageBlocks(raw); err != nil {
			return out, err
		}
	}
	out.md, err = readMetadata(c)
	return out, err
}

func readMetadata(c *call) (*Metadata, error) {
	raw, err := c.data("metadata")
	if err != nil {
		return nil, &apiError{code: "invalid_metadata_format"}
	}
	m, ok := raw.(obj)
	if !ok || text(m, "event_type") == "" {
		return nil, nil
	}
	payload, ok := m["event_payload"].(obj)
	if !ok {
		return nil, &apiError{code: "invalid_metadata_schema", messages: []string{"[ERROR] missing required field: event_payload [json-pointer:/metadata]"}}
	}
	return &Metadata{EventType: text(m, "event_type"), Payload: payload}, nil
}

func (s *Sim) postMessage(c *call) (obj, error) {
	id := c.str("channel")
	if ch := s.channel(id); ch != nil && !ch.Private {
		id = ch.ID // chat.postMessage alone also takes the name of a public channel
	}
	if u, ok := s.user(id); ok && !u.Bot {
		id = s.direct(u.ID).ID
	}
	ch, err := s.botChannel(id)
	if err != nil {
		return nil, err
	}
	says, err := s.content(c)
	if err != nil {
		return nil, err
	}
	if says.text == "" && len(says.blocks) == 0 && !c.has("attachments") {
		return nil, refuse("no_text")
	}
	thread, err := s.threadOf(ch.ID, c.str("thread_ts"))
	if err != nil {
		return nil, err
	}
	m := s.post(&Message{
		Channel: ch.ID, ThreadTS: thread, User: BotUser, Bot: true,
		Text: cut(says.text, maxPostText), Blocks: says.blocks, Metadata: says.md,
	})
	return obj{"channel": ch.ID, "ts": m.TS, "message": s.wire(m)}, nil
}

// threadOf resolves the timestamp of a thread: that of a reply means its parent.
func (s *Sim) threadOf(channel, ts string) (string, error) {
	if ts == "" {
		return "", nil
	}
	m := s.find(channel, ts)
	switch {
	case m == nil:
		return "", refuse("thread_not_found")
	case m.InThread():
		return m.ThreadTS, nil
	}
	return m.TS, nil
}

func cut(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit])
}

func (s *Sim) updateMessage(c *call) (obj, error) {
	m, err := s.own(c, "cant_update_message")
	if err != nil {
		return nil, err
	}
	says, err := s.content(c)
	if err != nil {
		return nil, err
	}
	switch {
	case !c.has("text") && !c.has("blocks") && !c.has("attachments"):
		return nil, refuse("no_text")
	case utf8.RuneCountInString(says.text) > maxUpdateText:
		return nil, refuse("msg_too_long")
	}
	// What an update does not name stays as it was (docs.slack.dev, chat.update).
	if !c.has("text") {
		says.text = m.Text
	}
	if !c.has("blocks") {
		says.blocks = m.Blocks
	}
	if !c.has("metadata") {
		says.md = m.Metadata
	}
	s.edit(m, says.text, says.blocks, says.md)
	return obj{"channel": m.Channel, "ts": m.TS, "text": m.Text, "message": s.wire(m)}, nil
}

// own finds the message that a call is about and checks that the app wrote it.
func (s *Sim) own(c *call, code string) (*Message, error) {
	ch := s.visible(c.str("channel"))
	if ch == nil {
		return nil, refuse("channel_not_found")
	}
	if ch.Archived {
		return nil, refuse("is_archived")
	}
	m := s.find(ch.ID, c.str("ts"))
	if m == nil {
		return nil, refuse("message_not_found")
	}
	if !m.Bot {
		return nil, refuse(code)
	}
	return m, nil
}

func (s *Sim) deleteMessage(c *call) (obj, error) {
	m, err := s.own(c, "cant_delete_message")
	if err != nil {
		return nil, err
	}
	s.remove(m)
	return obj{"channel": m.Channel, "ts": m.TS}, nil
}

func (s *Sim) postEphemeral(c *call) (obj, error) {
	ch, err := s.botChannel(c.str("channel"))
	if err != nil {
		return nil, err
	}
	if !ch.has(c.str("user")) {
		return nil, refuse("user_not_in_channel")
	}
	says, err := s.content(c)
	if err != nil {
		return nil, err
	}
	if says.text == "" && len(says.blocks) == 0 {
		return nil, refuse("no_text")
	}
	thread, err := s.threadOf(ch.ID, c.str("thread_ts"))
	if err != nil {
		return nil, err
	}
	m := s.post(&Message{
		Channel: ch.ID, ThreadTS: thread, User: BotUser, Bot: true, To: c.str("user"),
		Text: cut(says.text, maxPostText), Blocks: says.blocks,
	})
	return obj{"message_ts": m.TS}, nil
}

func (s *Sim) getPermalink(c *call) (obj, error) {
	ch := s.visible(c.str("channel"))
	if ch == nil {
		return nil, refuse("channel_not_found")
	}
	m := s.find(ch.ID, c.str("message_ts"))
	if m == nil {
		return nil, refuse("message_not_found")
	}
	link := c.base + "/archives/" + ch.ID + "/p" + strings.ReplaceAll(m.TS, ".", "")
	if m.InThread() {
		link += "?thread_ts=" + m.ThreadTS + "&cid=" + ch.ID
	}
	return obj{"channel": ch.ID, "permalink": link}, nil
}

func (s *Sim) addReaction(c *call) (obj, error) {
	ch, err := s.botChannel(c.str("channel"))
	if err != nil {
		return nil, err
	}
	m := s.find(ch.ID, c.str("timestamp"))
	name := strings.Trim(c.str("name"), ":")
	switch {
	case m == nil:
		return nil, refuse("message_not_found")
	case name == "":
		return nil, refuse("invalid_name")
	case slices.Contains(m.Reactions, name):
		return nil, refuse("already_reacted")
	}
	m.Reactions = append(m.Reactions, name)
	return obj{}, nil
}

// wire is a message as the API and payloads show it.
func (s *Sim) wire(m *Message) obj {
	out := obj{"type": "message", "user": m.User, "ts": m.TS, "text": m.Text, "team": TeamID}
	if m.Bot {
		out["bot_id"], out["app_id"] = BotID, AppID
	}
	if len(m.Blocks) > 0 {
		out["blocks"] = m.Blocks
	}
	if m.Metadata != nil {
		out["metadata"] = m.Metadata
	}
	if m.ThreadTS != "" {
		out["thread_ts"] = m.ThreadTS
		if m.Replies > 0 {
			out["reply_count"] = m.Replies
		}
	}
	if m.Edits > 0 {
		out["edited"] = obj{"user": m.User, "ts": m.EditedTS}
	}
	return out
}
