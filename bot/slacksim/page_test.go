package slacksim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"jwksbot/bot/slacksim"
)

// until waits until a JavaScript expression is true.
func until(t *testing.T, tab context.Context, expr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, 20*time.Second)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool]("Boolean("+expr+")")); err != nil {
		body, _ := chromedp.Run(tab, chromedp.Evaluate[string](`document.querySelector('main').innerText`))
		t.Fatalf("never true: %s: %v; the page says:\n%s", expr, err, body)
	}
}

// shows waits until an element's text contains words.
func shows(t *testing.T, tab context.Context, selector, words string) {
	t.Helper()
	until(t, tab, fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))`, selector, words))
}

// open opens the page in a new tab.
func open(t *testing.T, chromium context.Context, sim *slacksim.Sim, query string) context.Context {
	t.Helper()
	tab, end := chromedp.NewContext(chromium)
	t.Cleanup(end)
	do(t, tab, chromedp.Navigate(sim.URL()+"/"+query), chromedp.WaitVisible("#composer"))
	return tab
}

// demoApp answers commands with a card, its button with a modal, and a
// submission without a proper ticket with an error.
func demoApp(t *testing.T, sim *slacksim.Sim, api *slack.Client) {
	connect(t, sim, api, func(sm *socketmode.Client, ev socketmode.Event) {
		switch data := ev.Data.(type) {
		case slack.SlashCommand:
			ackAll(sm, ev)
			approve := button("approve", "Approve")
			approve.Confirm = slack.NewConfirmationBlockObject(plainText("Approve?"), plainText("Deletes 3 entries."), plainText("Yes, approve"), plainText("Not yet"))
			_, ts, err := api.PostMessage(data.ChannelID, slack.MsgOptionText("card", false), slack.MsgOptionBlocks(section("*Approval needed*"), slack.NewActionBlock("", approve, button("ask", "Ask"))))
			if err != nil {
				t.Error(err)
			}
			_, _, _ = api.PostMessage(data.ChannelID, slack.MsgOptionText("the evidence", false), slack.MsgOptionTS(ts))
		case slack.InteractionCallback:
			answer(t, sm, ev, api, data)
		default:
			ackAll(sm, ev)
			_, _ = api.PublishView("U0LEAD", slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: []slack.Block{section("No approvals are pending.")}}}, "")
		}
	})
}

func plainText(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject("plain_text", s, false, false)
}

func answer(t *testing.T, sm *socketmode.Client, ev socketmode.Event, api *slack.Client, cb slack.InteractionCallback) {
	if cb.Type == slack.InteractionTypeViewSubmission {
		if v := cb.View.State.Values["ticket"]["value"].Value; v != "INC-1" {
			_ = sm.Ack(*ev.Request, slack.NewErrorsViewSubmissionResponse(map[string]string{"ticket": "no ticket " + v}))
			return
		}
	}
	ackAll(sm, ev)
	if len(cb.ActionCallback.BlockActions) == 0 {
		return
	}
	if cb.ActionCallback.BlockActions[0].ActionID == "ask" {
		if _, err := api.OpenView(cb.TriggerID, modal()); err != nil {
			t.Error(err)
		}
		return
	}
	_, _, _, _ = api.UpdateMessage(cb.Channel.ID, cb.Message.Timestamp, slack.MsgOptionText("done", false), slack.MsgOptionBlocks(section("Approved by <@"+cb.User.ID+">")))
	_, _ = api.PostEphemeral(cb.Channel.ID, cb.User.ID, slack.MsgOptionText("Thank you", false))
}

// The page in a real browser; one browser for all, since starting it is slow.
func TestPage(t *testing.T) {
	chromium := browser(t)
	for name, test := range map[string]func(*testing.T, context.Context){
		"story": pageStory, "failures": pageTellsFailures, "panel": pagePanel, "hostile text": pageShowsHostileTextAsText, "pictures": pageShowsPictures,
	} {
		t.Run(name, func(t *testing.T) { test(t, chromium) })
	}
}

func pageStory(t *testing.T, chromium context.Context) {
	sim, api := start(t, slacksim.Options{})
	demoApp(t, sim, api)
	tab := open(t, chromium, sim, "?as=U0ONCALL")
	do(t, tab, chromedp.SendKeys("#composer", "/jwks-f"), chromedp.WaitVisible(`#suggestions [data-command="/jwks-flush"]`))
	do(t, tab, chromedp.SendKeys("#composer", "\r"), chromedp.SendKeys("#composer", "production\r"), chromedp.WaitVisible(`[data-action-id="approve"]`))
	if got := sim.Transcript(); !strings.Contains(got, "robin> /jwks-flush production\n") {
		t.Errorf("what was typed:\n%s", got)
	}
	shot(t, tab, "page-1-card")

	do(t, tab, chromedp.Click(`[data-testid="open-thread"]`))
	shows(t, tab, "#thread", "the evidence")
	do(t, tab, chromedp.SendKeys("#thread-composer", "seen\r"))
	shows(t, tab, "#thread", "seen")
	shot(t, tab, "page-2-thread")

	do(t, tab, chromedp.Click(`[data-as="U0LEAD"]`), chromedp.WaitVisible(`[data-as="U0LEAD"][aria-checked="true"]`))
	do(t, tab, chromedp.Click(`#messages [data-action-id="ask"]`), chromedp.WaitVisible(`#modal [data-action-id="value"]`))
	do(t, tab, chromedp.SendKeys(`#modal [data-action-id="value"]`, "nonsense"), chromedp.Click(`[data-testid="modal-submit"]`))
	shows(t, tab, `[data-testid="input-error"]`, "no ticket nonsense")
	shot(t, tab, "page-3-modal")
	do(t, tab, chromedp.SetValue(`#modal [data-action-id="value"]`, "INC-1"), chromedp.Click(`[data-testid="modal-submit"]`))
	until(t, tab, `!document.querySelector('#modal').open`)

	do(t, tab, chromedp.Click(`#messages [data-action-id="approve"]`), chromedp.Click(`[data-testid="confirm-no"]`))
	if m := sim.Messages("inc-bridge")[0]; m.Edits != 0 {
		t.Error("a declined confirmation was sent")
	}
	do(t, tab, chromedp.Click(`#messages [data-action-id="approve"]`), chromedp.Click(`[data-testid="confirm-yes"]`))
	shows(t, tab, "#messages", "Approved by @Sam Okoro")
	shows(t, tab, `[data-testid="ephemeral"]`, "Only visible to you")
	do(t, tab, chromedp.Click(`[data-as="U0ONCALL"]`))
	until(t, tab, `!document.querySelector('[data-testid="ephemeral"]')`)

	until(t, tab, `!document.querySelector('[data-channel="C0PARTNER"].unread')`)
	if _, _, err := api.PostMessage("C0PARTNER", slack.MsgOptionText("news", false)); err != nil {
		t.Fatal(err)
	}
	do(t, tab, chromedp.WaitVisible(`[data-channel="C0PARTNER"].unread`))

	do(t, tab, chromedp.Click(`[data-as="U0LEAD"]`), chromedp.Click(`[data-testid="app-home"]`))
	shows(t, tab, `[data-testid="home"]`, "No approvals are pending.")
	shot(t, tab, "page-4-home")
}

func pageTellsFailures(t *testing.T, chromium context.Context) {
	sim, api := start(t, slacksim.Options{AckTimeout: 100 * time.Millisecond})
	if _, _, err := api.PostMessage(bridge, slack.MsgOptionText("x", false), slack.MsgOptionBlocks(slack.NewActionBlock("", button("approve", "Approve")))); err != nil {
		t.Fatal(err)
	}
	tab := open(t, chromium, sim, "?as=U0ONCALL")
	do(t, tab, chromedp.Click(`[data-action-id="approve"]`))
	shows(t, tab, `[data-testid="toast"]`, "dispatch_failed")
	do(t, tab, chromedp.SendKeys("#composer", "/jwks-check\r"))
	shows(t, tab, `[data-testid="ephemeral"]`, "dispatch_failed")
	connect(t, sim, api, func(*socketmode.Client, socketmode.Event) {})
	do(t, tab, chromedp.Click(`[data-action-id="approve"]`))
	shows(t, tab, `[data-testid="toast"]`, "operation_timeout")
	shot(t, tab, "page-5-failures")
}

func pagePanel(t *testing.T, chromium context.Context) {
	var rotated atomic.Bool
	begin := time.Now()
	panel := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "POST /drill/rotate":
			rotated.Store(true)
		case "GET /drill/state":
			rate, live := any(1.0), "new-kid"
			if rotated.Load() {
				rate = 0.125
			}
			var series []any
			for i := range 30 {
				series = append(series, js{"at": begin.Add(time.Duration(i) * 5 * time.Second).Format(time.RFC3339), "ok": 40 - i, "failed": i})
			}
			_ = json.NewEncoder(w).Encode(js{"success_rate": rate, "live_kids": []string{live}, "cached_kids": []string{"old-kid"}, "series": series})
		default:
			http.NotFound(w, r)
		}
	})
	sim, _ := start(t, slacksim.Options{Panel: panel, Note: "Time runs 60 times as fast here."})
	tab := open(t, chromium, sim, "")
	shows(t, tab, "#world-note", "60 times as fast")
	shows(t, tab, "#success-rate", "100%")
	do(t, tab, chromedp.Click("#rotate"))
	shows(t, tab, "#success-rate", "12.5%")
	shows(t, tab, `[data-testid="cached-kids"]`, "no longer live")
	until(t, tab, `document.querySelectorAll('.chart .bar-failed').length === 30`)
	shot(t, tab, "page-6-panel")
}

// hostile is put into every text that a message or modal can carry.
const hostile = `</script><script>window.pwned=1</script><img src=x onerror="window.pwned=1">"' onload=window.pwned=1 <javascript:window.pwned=1|click> <https://x"onmouseover="window.pwned=1|y>`

func pageShowsHostileTextAsText(t *testing.T, chromium context.Context) {
	users := append(slacksim.DefaultUsers(), slacksim.User{ID: "U0EVIL", Name: "evil", RealName: `<img src=x onerror=window.pwned=1>`, Caption: `"><script>window.pwned=1</script>`})
	sim, api := start(t, slacksim.Options{Users: users})
	short := `<img src=x onerror=window.pwned=1>`
	p := plainText(short)
	btn := slack.NewButtonBlockElement("a", hostile, p)
	btn.URL = "javascript:window.pwned=1"
	sel := slack.NewOptionsSelectBlockElement("static_select", p, "s", slack.NewOptionBlockObject(short, p, p))
	table := map[string]any{"type": "table", "rows": [][]any{{js{"type": "raw_text", "text": hostile}}}}
	rich := map[string]any{"type": "rich_text", "elements": []any{js{"type": "rich_text_section", "elements": []any{js{"type": "text", "text": hostile}, js{"type": "link", "url": "javascript:window.pwned=1", "text": hostile}}}}}
	image := js{"type": "image", "image_url": `javascript:window.pwned=1`, "alt_text": hostile}
	mrk := slack.NewTextBlockObject("mrkdwn", hostile, false, false)
	known, err := json.Marshal([]slack.Block{
		slack.NewHeaderBlock(plainText(hostile[:140])), slack.NewSectionBlock(mrk, []*slack.TextBlockObject{mrk}, slack.NewAccessory(sel)),
		slack.NewContextBlock("", mrk), slack.NewActionBlock("", btn), slack.NewMarkdownBlock("", hostile+" [x](javascript:window.pwned=1)"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var blocks []any
	if err := json.Unmarshal(known, &blocks); err != nil {
		t.Fatal(err)
	}
	if got := postBlocks(t, sim, append(blocks, table, rich, image)); got != "" {
		t.Fatal(got)
	}
	_, _, _ = api.PostMessage(bridge, slack.MsgOptionText(hostile+" ```"+hostile+"``` `"+short+"` *"+short+"*", false))
	body := "<script>window.pwned=1</script>"
	if _, err := api.UploadFile(slack.UploadFileParameters{Filename: short, Title: hostile, FileSize: len(body), Content: body, Channel: bridge}); err != nil {
		t.Fatal(err)
	}
	tab := open(t, chromium, sim, "?as=U0ONCALL")
	shows(t, tab, "#messages", "<script>window.pwned=1</script>")
	shot(t, tab, "page-7-hostile")
	do(t, tab, chromedp.Click(`[data-action-id="a"]`))
	for _, expr := range []string{
		`window.pwned === undefined`,
		`document.querySelectorAll('#app script, #app img[src="x"], #app iframe').length === 0`,
		`[...document.querySelectorAll('#app *')].every((e) => [...e.attributes].every((a) => !a.name.startsWith('on')))`,
		`[...document.querySelectorAll('#app a')].every((a) => /^https?:|^mailto:/.test(a.href))`,
	} {
		until(t, tab, expr)
	}
	f := sim.Files()[0]
	resp, err := http.Get(sim.URL() + "/ui/files/" + f.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("an HTML upload is served as %q", ct)
	}
}

// The scripts build elements, never markup, and load nothing from elsewhere.
func TestPageSource(t *testing.T) {
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc`)
	elsewhere := regexp.MustCompile(`(?:src|href|url\(|from|fetch\()\s*=?\s*['"(]?(?:https?:)?//`)
	files, err := os.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile("page/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if hit := markup.Find(b); hit != nil {
			t.Errorf("%s uses %s", f.Name(), hit)
		}
		if hit := elsewhere.Find(b); hit != nil {
			t.Errorf("%s loads from elsewhere: %s", f.Name(), hit)
		}
	}
	sim, _ := start(t, slacksim.Options{})
	resp, err := http.Get(sim.URL() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self'") || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy = %q", csp)
	}
}

// Another site in the same browser may not press buttons here.
func TestOnlyThePageActs(t *testing.T) {
	sim, _ := start(t, slacksim.Options{})
	for _, c := range []struct {
		kind, origin string
		want         int
	}{
		{"application/json", "", 200},
		{"application/json", sim.URL(), 200},
		{"application/json", "https://evil.example", 403},
		{"text/plain", "", 403},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", sim.URL()+"/ui/act", strings.NewReader(`{"kind":"say","as":"U0LEAD","channel":"C0BRIDGE","text":"<b>"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", c.kind)
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%+v: %d", c, resp.StatusCode)
		}
	}
	if m := sim.Messages(bridge); len(m) != 2 || m[0].Text != "&lt;b&gt;" {
		t.Errorf("messages = %+v", m)
	}
}
