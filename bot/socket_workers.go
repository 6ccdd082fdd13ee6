package bot

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"
)

// busyText is what a user reads whose command or click met a full queue.
const busyText = "The bot is busy and did not take this on. Nothing was done; please try again in a minute."

// unwindWithin is how long work may take to end after its context ended.
const unwindWithin = time.Second

// workers handle envelopes in a bounded number of goroutines.
type workers struct {
	socket *Socket
	places chan struct{} // one per envelope that waits
	queue  chan Envelope // never blocks: a place is taken first
	aside  chan struct{} // one per "busy" answer being sent
	left   atomic.Int64  // envelopes started or waiting
	ending chan struct{} // closed when nothing more is started

	running sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc
}

func (s *Socket) startWorkers(ctx context.Context, to Receiver) *workers {
	w := &workers{
		socket: s,
		places: make(chan struct{}, s.set.Queue),
		queue:  make(chan Envelope, s.set.Queue),
		aside:  make(chan struct{}, 4),
		ending: make(chan struct{}),
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	for range s.set.Workers {
		w.running.Go(func() { w.run(to) })
	}
	return w
}

// run handles envelopes until drain was called and none waits.
func (w *workers) run(to Receiver) {
	for {
		select {
		case env := <-w.queue:
			w.handle(to, env)
			continue
		default:
		}
		select {
		case env := <-w.queue:
			w.handle(to, env)
		case <-w.ending:
			if len(w.queue) == 0 {
				return
			}
		}
	}
}

func (w *workers) handle(to Receiver, env Envelope) {
	<-w.places
	defer w.left.Add(-1)
	defer func() { w.socket.recovered(env, recover()) }()
	to.Handle(w.ctx, env)
}

// reserve takes a place in the queue, if there is one.
func (w *workers) reserve() bool {
	select {
	case w.places <- struct{}{}:
		return true
	default:
		return false
	}
}

func (w *workers) release() { <-w.places }

// start queues an envelope whose place is reserved.
func (w *workers) start(env Envelope) {
	w.left.Add(1)
	w.queue <- env
}

// drain waits for the work under way, up to the limit, then ends its context
// and gives it a last moment. It returns how many envelopes were left.
func (w *workers) drain(limit time.Duration) int {
	close(w.ending)
	idle := make(chan struct{})
	go func() {
		w.running.Wait()
		close(idle)
	}()
	defer w.cancel()
	for _, wait := range []time.Duration{limit, unwindWithin} {
		select {
		case <-idle:
			return 0
		case <-time.After(wait):
			w.cancel()
		}
	}
	return int(w.left.Load())
}

// busyReply is the payload of the acknowledgement for an envelope that met a
// full queue: a private answer to a command; an error under the first field of
// a view, which stays open with what the user typed.
func busyReply(env Envelope) any {
	if !env.AcceptsResponse {
		return nil
	}
	if env.Type == EnvelopeCommand {
		return map[string]string{"response_type": "ephemeral", "text": busyText}
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
				return slack.NewErrorsViewSubmissionResponse(map[string]string{b.ID: busyText})
			}
		}
	}
	return nil
}

// sayBusy answers a click, whose acknowledgement carries no payload, through
// its response_url. Where even these answers pile up, the log has to do.
func (w *workers) sayBusy(env Envelope) {
	if env.Type != EnvelopeInteraction || env.AcceptsResponse {
		return
	}
	var click struct {
		ResponseURL string `json:"response_url"`
	}
	if json.Unmarshal(env.Payload, &click) != nil || click.ResponseURL == "" {
		return
	}
	select {
	case w.aside <- struct{}{}:
	default:
		return
	}
	w.running.Go(func() {
		defer func() { <-w.aside }()
		if err := postBusy(w.ctx, w.socket.set.HTTP, click.ResponseURL); err != nil {
			w.socket.log.Warn("the user could not be told that the bot is busy", "envelope", env.ID, "error", err)
		}
	})
}

func postBusy(ctx context.Context, client *http.Client, url string) error {
	err := slack.PostWebhookCustomHTTPContext(ctx, url, client, &slack.WebhookMessage{
		Text: busyText, ResponseType: slack.ResponseTypeEphemeral,
	})
	return withoutURL(err)
}
