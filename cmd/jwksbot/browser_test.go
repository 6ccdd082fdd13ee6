package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"jwksbot/bot/slacksim"
)

// The page is asked for what a person would see of it. Selectors are those that
// bot/slacksim/page promises.
const (
	onReport = `#messages [data-testid="message"]`
	onNote   = `#messages [data-testid="ephemeral"]`
	onError  = `[data-testid="input-error"]`
)

// patience ends a wait. The longest is for the rate of 100 %: those who still
// hold a token of the old key must come back once, and the panel's 20 seconds
// must pass after that.
const patience = 150 * time.Second

// TestDemoPage plays the main job as people do it, in a real browser: found,
// proven, requested, refused to those who may not, approved, flushed, proven
// fixed, and a second approval answered with who decided.
func TestDemoPage(t *testing.T) {
	t.Parallel()
	p := openPage(t, "stale", "U0ONCALL")
	before := p.stage.drill.State()
	p.until("sign-ins to fail", `parseFloat(document.querySelector('#success-rate').innerText) < 90`)

	p.say("/jwks-check production")
	p.shows(onReport, "Stale cache", "evidence is in the thread")
	p.shows(onReport, slices.Concat([]string{"What to do"}, missing(before.LiveKids, before.CachedKids), before.CachedKids)...)
	p.threadSettles()
	p.shot("1-check")
	p.small("check", 930)
	p.click(`#messages [data-testid="open-thread"]`)
	p.shows("#thread", "cached")
	p.shot("2-evidence")
	p.click("#thread-close")

	p.requestFlush()
	p.refusals()
	p.approve()

	p.shows(onReport, "Flushed and proven", "Proven", "approved by @Sam Okoro")
	p.until("sign-ins to recover", `document.querySelector('#success-rate').innerText === '100%'`)
	after := p.stage.drill.State()
	if !slices.Equal(slices.Sorted(slices.Values(after.CachedKids)), slices.Sorted(slices.Values(after.LiveKids))) {
		t.Errorf("cached %q, live %q after a proven flush", after.CachedKids, after.LiveKids)
	}
	p.threadSettles()
	p.shot("9-proof")
	p.small("proof", 780)
	p.dark("10-proof-dark")

	p.lateApproval()
}

// requestFlush fills in the form, at first with a ticket that is none.
func (p *page) requestFlush() {
	p.say("/jwks-flush")
	p.do(chromedp.WaitVisible(`#modal [data-action-id="ticket"]`))
	p.until("the cursor to stand at the ticket", `document.activeElement.dataset.actionId === 'ticket'`)
	p.shot("3-form")
	p.do(chromedp.SendKeys(`#modal [data-action-id="ticket"]`, "keys are stale"),
		chromedp.SendKeys(`#modal [data-action-id="reason"]`, "Keys were rotated, sign-ins fail since then"))
	p.click(`[data-testid="modal-submit"]`)
	p.shows(onError, "INC")
	p.until("what was typed to stay", `document.querySelector('#modal [data-action-id="reason"]').value.startsWith('Keys were')`)
	p.shot("4-form-error")
	p.do(chromedp.SetValue(`#modal [data-action-id="ticket"]`, "INC-2026-0214-001"))
	p.click(`[data-testid="modal-submit"]`)
	p.until("the form to close", `!document.querySelector('#modal').open`)
	p.do(chromedp.WaitVisible(`#messages [data-action-id="approve"]`))
	p.shows(onReport, "Approval needed", "INC-2026-0214-001", "0 of 1")
	p.shot("5-card")
	p.small("approve", 780)
	p.dark("5-card-dark")
}

// refusals are clicks that must not count, each answered to the person alone.
func (p *page) refusals() {
	for _, wrong := range []struct{ user, answer string }{
		{"U0ONCALL", "your own request"},
		{"U0OUTSIDER", "You may not approve"},
		{"U0GUEST", "Guests cannot"},
	} {
		p.become(wrong.user)
		p.press("approve")
		p.shows(onNote, "Only visible to you", wrong.answer)
		p.shot("6-refused-" + strings.ToLower(strings.TrimPrefix(wrong.user, "U0")))
	}
	p.shows(onReport, "Approval needed", "0 of 1")
}

// approve is the decision of somebody who may take it.
func (p *page) approve() {
	p.become("U0LEAD")
	p.until("other people's private answers to be gone", `!document.querySelector('[data-testid="ephemeral"]')`)
	p.click(`#messages [data-action-id="approve"]`)
	p.shows("#confirm", "Deletes 1 entry", "read back")
	p.shot("7-confirm")
	p.click(`[data-testid="confirm-yes"]`)
	p.until("the buttons to be gone", `!document.querySelector('#messages [data-action-id="approve"]')`)
	p.shot("8-running")
}

// lateApproval is the click of a lead whose client had not seen the end yet.
func (p *page) lateApproval() {
	sim := p.stage.sim
	card := p.message("Flushed and proven")
	if d := sim.Click("U0LEAD2", card.Channel, card.TS, "approve", slacksim.AsItStood()); d.Err != nil {
		p.Fatal(d.Err)
	}
	p.do(chromedp.Navigate(p.stage.url+"/?as=U0LEAD2"), chromedp.WaitVisible("#composer"))
	p.shows(onNote, "Already decided", "sam approved it")
	p.shot("11-late")
}

// TestDemoPageDenied is the other end of a request: no, and why.
func TestDemoPageDenied(t *testing.T) {
	t.Parallel()
	p := openPage(t, "stale", "U0LEAD")
	before := p.stage.drill.State()
	if d := p.stage.sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-flush production INC-2026-0214-001 sign-ins fail"); d.Err != nil {
		t.Fatal(d.Err)
	}
	p.do(chromedp.WaitVisible(`#messages [data-action-id="deny_reason"]`))
	p.click(`#messages [data-action-id="deny_reason"]`)
	p.do(chromedp.WaitVisible(`#modal [data-action-id="deny_reason"]`),
		chromedp.SendKeys(`#modal [data-action-id="deny_reason"]`, "The vendor restores the old key at 03:10. Wait for it."))
	p.shot("12-deny-form")
	p.click(`[data-testid="modal-submit"]`)
	p.shows(onReport, "Denied by @Sam Okoro", "Why it was denied: The vendor restores the old key", "Nothing was touched")
	p.shot("13-denied")
	if after := p.stage.drill.State(); !slices.Equal(before.CachedKids, after.CachedKids) {
		t.Errorf("cached %q, then %q: a denied flush touched the cache", before.CachedKids, after.CachedKids)
	}
}

// missing are the kids of the first set that the second lacks.
func missing(live, cached []string) []string {
	return slices.DeleteFunc(slices.Clone(live), func(kid string) bool { return slices.Contains(cached, kid) })
}

// page is one browser that looks at the demo's page.
type page struct {
	*testing.T
	stage *stage
	tab   context.Context
}

// openPage starts the demo and a browser that looks at it as user.
func openPage(t *testing.T, scenario, user string) *page {
	t.Helper()
	tab := startBrowser(t)
	p := &page{T: t, stage: startStage(t, scenario), tab: tab}
	p.do(chromedp.Navigate(p.stage.url+"/?as="+user), chromedp.WaitVisible("#composer"),
		chromedp.WaitVisible(`[data-as="`+user+`"][aria-checked="true"]`))
	return p
}

// startBrowser starts a headless Chromium of its own and returns its first tab.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("JWKSBOT_REQUIRE_SERVERS") == "1" {
			t.Fatal("chromium not on PATH: needed to drive the demo's page")
		}
		t.Skip("chromium not on PATH: the demo's page is not driven")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(1440, 900), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-background-networking", true))
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	tab, end := chromedp.NewContext(alloc)
	t.Cleanup(end)
	if err := chromedp.Do(tab, chromedp.EmulateViewport(1440, 900)); err != nil { // starts it, without a deadline, which would end it
		t.Fatal(err)
	}
	return tab
}

// do takes steps in the tab, with a deadline for all of them.
func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.tab, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.Fatalf("%v; the page says:\n%s", err, p.words())
	}
}

// until waits until a JavaScript expression is true.
func (p *page) until(what, expr string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.tab, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool]("Boolean("+expr+")", chromedp.WithPollingTimeout(0))); err != nil {
		p.Fatalf("waiting for %s: %v; the page says:\n%s", what, err, p.words())
	}
}

// shows waits until one element that matches says all of it.
func (p *page) shows(selector string, words ...string) {
	p.Helper()
	p.until(fmt.Sprintf("%q in %s", words, selector),
		fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => %s.every((w) => e.innerText.includes(w)))`, selector, jsList(words)))
}

func jsList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

func (p *page) words() string {
	text, _ := chromedp.Run(p.tab, chromedp.Evaluate[string](`document.body.innerText`))
	return text
}

func (p *page) click(selector string) { p.Helper(); p.do(chromedp.Click(selector)) }

// press presses a button of the only message that has it, and says yes.
func (p *page) press(action string) {
	p.Helper()
	p.click(`#messages [data-action-id="` + action + `"]`)
	p.click(`[data-testid="confirm-yes"]`)
}

// say types into the channel, with Enter at the end.
func (p *page) say(text string) { p.Helper(); p.do(chromedp.SendKeys("#composer", text+"\r")) }

func (p *page) become(user string) {
	p.Helper()
	p.do(chromedp.Click(`[data-as="`+user+`"]`), chromedp.WaitVisible(`[data-as="`+user+`"][aria-checked="true"]`))
}

// threadSettles waits for the evidence in the thread of the newest message.
func (p *page) threadSettles() {
	p.Helper()
	p.until("a thread", `[...document.querySelectorAll('#messages [data-testid="message"]')].at(-1).querySelector('[data-testid="open-thread"]')`)
}

// message is the newest message of the channel whose header or text has words.
func (p *page) message(words string) slacksim.Message {
	p.Helper()
	for _, m := range slices.Backward(p.stage.sim.Messages("C0BRIDGE")) {
		if strings.Contains(fmt.Sprint(m.Text, m.Blocks), words) {
			return m
		}
	}
	p.Fatalf("no message says %q:\n%s", words, p.stage.sim.Transcript())
	return slacksim.Message{}
}

// shot saves a picture of the page when JWKSBOT_SHOTS names a folder.
func (p *page) shot(name string) {
	p.Helper()
	dir := os.Getenv("JWKSBOT_SHOTS")
	if dir == "" {
		return
	}
	p.do(chromedp.MouseEvent(chromedp.MouseMoved, 1, 1)) // nothing is hovered over
	ctx, cancel := context.WithTimeout(p.tab, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.Fatal(err)
	}
}

// small saves a picture in the size of the README, testdata/screenshots.
func (p *page) small(name string, height int64) {
	p.Helper()
	if os.Getenv("JWKSBOT_SHOTS") == "" {
		return
	}
	p.do(chromedp.EmulateViewport(1280, height))
	p.shot(name)
	p.do(chromedp.EmulateViewport(1440, 900))
}

// dark saves a picture of the page as a dark system shows it.
func (p *page) dark(name string) {
	p.Helper()
	if os.Getenv("JWKSBOT_SHOTS") == "" {
		return
	}
	p.scheme("all", "dark")
	p.shot(name)
	p.scheme("(prefers-color-scheme: dark)", "light dark")
}

// scheme makes the rules for dark systems apply to media.
func (p *page) scheme(media, scheme string) {
	p.Helper()
	script := fmt.Sprintf(`for (const r of document.styleSheets[0].cssRules) if (/dark|all/.test(r.media?.mediaText)) r.media.mediaText = %q;
		document.documentElement.style.colorScheme = %q`, media, scheme)
	if _, err := chromedp.Run(p.tab, chromedp.Evaluate[string](script)); err != nil {
		p.Fatal(err)
	}
}
