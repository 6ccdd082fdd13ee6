package socket

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/slack-go/slack"
)

// Envelope types that Slack sends over Socket Mode and that carry work.
const (
	TypeCommand     = "slash_commands"
	TypeInteraction = "interactive"
	TypeEvent       = "events_api"
)

// maxPayload bounds in bytes what is decoded into slack-go's types. The
// largest legitimate payload is a view of 250 KB (Slack's limit) in its
// envelope.
const maxPayload = 512 << 10

// Envelope is one delivery of Slack over Socket Mode, already acknowledged
// when it is handled.
type Envelope struct {
	ID      string          // envelope_id, unique per delivery
	Type    string          // one of the Envelope… constants
	Payload json.RawMessage // not decoded yet, at most 1 MiB
	// AcceptsResponse says that the acknowledgement may carry a payload: true
	// for slash commands and view submissions, false for buttons.
	AcceptsResponse bool
	// RetryAttempt counts Slack's redeliveries of an event, from 0. The first
	// delivery seen can be above 0 after a gap, so it is no reason to drop one.
	RetryAttempt int
	ReceivedAt   time.Time
}

// Command decodes the payload of a slash command. The error is fit for a
// log and never holds the payload, which can hold what a user pasted.
func (env Envelope) Command() (slack.SlashCommand, error) {
	var cmd slack.SlashCommand
	if err := env.decode(TypeCommand, &cmd); err != nil {
		return slack.SlashCommand{}, err
	}
	if cmd.Command == "" || cmd.UserID == "" {
		return slack.SlashCommand{}, fmt.Errorf("slash command %q: it names no command or no user", env.ID)
	}
	return cmd, nil
}

// Interaction decodes the payload of a click, a shortcut or a view submission.
func (env Envelope) Interaction() (slack.InteractionCallback, error) {
	var call slack.InteractionCallback
	if err := env.decode(TypeInteraction, &call); err != nil {
		return slack.InteractionCallback{}, err
	}
	if call.Type == "" || call.User.ID == "" {
		return slack.InteractionCallback{}, fmt.Errorf("interaction %q: it has no type or no user", env.ID)
	}
	return call, nil
}

// Event decodes the event of an Events API payload into a type of the caller's.
func (env Envelope) Event(into any) error {
	outer := struct {
		Event any `json:"event"`
	}{into}
	return env.decode(TypeEvent, &outer)
}

func (env Envelope) decode(want string, into any) error {
	switch {
	case env.Type != want:
		return fmt.Errorf("envelope %q: it is of type %q, not %q", env.ID, env.Type, want)
	case len(env.Payload) == 0:
		return fmt.Errorf("envelope %q of type %q: it has no payload", env.ID, env.Type)
	case len(env.Payload) > maxPayload:
		return fmt.Errorf("envelope %q of type %q: its payload of %d bytes is above the limit of %d",
			env.ID, env.Type, len(env.Payload), maxPayload)
	}
	if err := json.Unmarshal(env.Payload, into); err != nil {
		return fmt.Errorf("envelope %q of type %q: payload is not as Slack documents it: %w", env.ID, env.Type, err)
	}
	return nil
}
