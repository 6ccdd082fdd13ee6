package socket

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/slack-go/slack"
)

// refusalLevel is that of the log's line: one person's excess is no fault of
// the bot's.
func refusalLevel(text string) slog.Level {
	if text == busyText {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// refusalReply is the payload of the acknowledgement for an envelope that was not
// taken on: a private answer to a command; an error under the first field of a
// view, which stays open with what the user typed.
func refusalReply(env Envelope, text string) any {
	if !env.AcceptsResponse {
		return nil
	}
	if env.Type == TypeCommand {
		return map[string]string{"response_type": "ephemeral", "text": text}
	}
	var form struct {
		View struct {
			Blocks []struct {
				Type string `json:"type"`
				ID   string `json:"block_id"`
			} `json:"blocks"`
		} `json:"view"`
	}
	if json.Unmarshal(env.Payload, &form) == nil {
		for _, b := range form.View.Blocks {
			if b.Type == "input" {
				return slack.NewErrorsViewSubmissionResponse(map[string]string{b.ID: text})
			}
		}
	}
	return nil
}

// tellRefusal answers a click that was not taken on, whose acknowledgement carries no
// payload, through its response_url. Where even these answers pile up, the log
// has to do.
func (p *pool) tellRefusal(env Envelope, text string) {
	if env.Type != TypeInteraction || env.AcceptsResponse {
		return
	}
	var click struct {
		ResponseURL string `json:"response_url"`
	}
	if json.Unmarshal(env.Payload, &click) != nil || click.ResponseURL == "" {
		return
	}
	select {
	case p.refusalsQueued <- struct{}{}:
	default:
		p.client.log.Warn("too many are refused at once to tell them all", "envelope", env.ID)
		return
	}
	answers := p.lanes[LaneQuick]
	answers.alongside(func() {
		defer func() { <-p.refusalsQueued }()
		p.refusalsSending <- struct{}{}
		defer func() { <-p.refusalsSending }()
		if err := postRefusal(answers.ctx, p.client.set.HTTP, click.ResponseURL, text); err != nil {
			p.client.log.Warn("the user could not be told that the bot is busy", "envelope", env.ID, "error", err)
		}
	})
}

func postRefusal(ctx context.Context, client *http.Client, url, text string) error {
	err := slack.PostWebhookCustomHTTPContext(ctx, url, client, &slack.WebhookMessage{Text: text, ResponseType: slack.ResponseTypeEphemeral})
	return WithoutURL(err)
}
