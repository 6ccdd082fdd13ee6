package socket

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack/socketmode"
)

// BenchmarkAck measures the time from a slash command leaving Slack's side to
// its acknowledgement arriving there, at 100 and 500 commands a second, for
// three clients in turn: a bare WebSocket loop, this socket, and slack-go's
// Socket Mode client. The goal is a p99 of at most 1.5 times the bare one.
//
//	go test -run '^$' -bench Ack ./bot/socket
func BenchmarkAck(b *testing.B) {
	clients := []struct {
		name string
		run  func(ctx context.Context, b *testing.B, baseURL string)
	}{{"bare", runBare}, {"socket", runOurs}, {"slack-go", runSlackGo}}
	for _, rate := range []int{100, 500} {
		b.Run(fmt.Sprintf("%d-per-s", rate), func(b *testing.B) {
			samples := map[string][]time.Duration{}
			for range b.N {
				for round := range 10 { // in turn, so that the machine's moods hit all
					for _, c := range clients {
						samples[c.name] = append(samples[c.name], ackRound(b, c.run, rate, round)...)
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			p := func(name string, q float64) float64 {
				s := samples[name]
				slices.Sort(s)
				return float64(s[int(q*float64(len(s)-1))].Microseconds())
			}
			for _, c := range clients {
				b.ReportMetric(p(c.name, 0.5), c.name+"-p50-µs")
				b.ReportMetric(p(c.name, 0.99), c.name+"-p99-µs")
			}
			b.ReportMetric(p("socket", 0.99)/p("bare", 0.99), "p99-socket/bare")
			b.ReportMetric(p("socket", 0.99)/p("slack-go", 0.99), "p99-socket/slack-go")
		})
	}
}

// ackRound sends commands at the rate for about a second and returns the
// times, without the first tenth.
func ackRound(b *testing.B, run func(context.Context, *testing.B, string), rate, round int) []time.Duration {
	srv := newSlackServer(b)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); run(ctx, b, srv.http.URL) }()
	defer func() { cancel(); <-ended }()
	c := srv.nextConn()
	warm := rate / 10
	n := rate + warm
	sent := make(map[string]time.Time, n)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range n {
		<-tick.C
		id := fmt.Sprintf("%d-%d", round, i)
		text := fmt.Sprintf(benchCommand, id, id)
		sent[id] = time.Now()
		c.send(text)
	}
	times := make([]time.Duration, 0, n)
	for range n {
		a := receive(b, c.acks, "an acknowledgement")
		times = append(times, a.at.Sub(sent[a.ID]))
	}
	return times[warm:]
}

// benchCommand has the fields of a real slash command (docs.slack.dev).
const benchCommand = `{"envelope_id":%q,"payload":{"token":"hidden","team_id":"T0123ABCDEF","team_domain":"acme",` +
	`"channel_id":"C0123ABCDEF","channel_name":"inc-bridge","user_id":"U0123ABCDEF","user_name":"dana","command":"/jwks-check",` +
	`"text":"production since=1h","api_app_id":"A0123ABCDEF","is_enterprise_install":"false",` +
	`"response_url":"https://hooks.slack.com/commands/T0123ABCDEF/1111111111111/abcdefghijklmnopqrstuvwx",` +
	`"trigger_id":"1111111111111.2222222222222.%s"},"type":"slash_commands","accepts_response_payload":true}`

func runBare(ctx context.Context, b *testing.B, baseURL string) {
	_, url, err := testAPI(baseURL, http.DefaultClient).StartSocketModeContext(ctx)
	if err != nil {
		b.Error(err)
		return
	}
	ws, _, err := websocket.DefaultDialer.DialContext(ctx, url, nil)
	if err != nil {
		b.Error(err)
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
	defer stop()
	for {
		var f struct {
			ID string `json:"envelope_id"`
		}
		if ws.ReadJSON(&f) != nil {
			return
		}
		if f.ID != "" && ws.WriteJSON(map[string]string{"envelope_id": f.ID}) != nil {
			return
		}
	}
}

func runOurs(ctx context.Context, b *testing.B, baseURL string) {
	to := &recorder{
		respond: func(Envelope) any { return map[string]string{"response_type": "ephemeral", "text": "Checking."} },
		handle:  func(_ context.Context, env Envelope) { _, _ = env.Command() },
	}
	socket, err := New(Settings{API: testAPI(baseURL, http.DefaultClient)})
	if err != nil {
		b.Error(err)
		return
	}
	if err := socket.Run(ctx, to); err != nil {
		b.Error(err)
	}
}

func runSlackGo(ctx context.Context, _ *testing.B, baseURL string) {
	client := socketmode.New(testAPI(baseURL, http.DefaultClient))
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case evt := <-client.Events:
				if evt.Type == socketmode.EventTypeSlashCommand {
					_ = client.Ack(*evt.Request, json.RawMessage(`{"response_type":"ephemeral","text":"Checking."}`))
				}
			}
		}
	}()
	_ = client.RunContext(ctx)
}
