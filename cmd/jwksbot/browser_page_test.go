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

// patience ends a wait. The longest is for the rate of 100 %: those who still
// hold a token of the old key must come back once, and the panel's 20 seconds
// must pass after that.
const patience = 150 * time.Second

// page is one browser that looks at the demo's page.
type page struct {
	*testing.T
	stage *stage
	tab   context.Context
}

// openPage starts the demo and a browser that looks at it as user. Time runs
// faster, but for pictures, where the page would say so.
func openPage(t *testing.T, scenario, user string) *page {
	t.Helper()
	speed := 4.0
	if os.Getenv("JWKSBOT_SHOTS") != "" {
		speed = 1
	}
	return openStage(t, startDemo(t, demoCmd{Scenario: scenario, Speed: speed}), user)
}

// openStage opens a browser on a stage that is set.
func openStage(t *testing.T, st *stage, user string) *page {
	t.Helper()
	p := &page{T: t, stage: st, tab: startBrowser(t)}
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

// click presses an element once a person could: it is there, and nothing lies
// over it. Finding and pressing are one step of the page. With a mouse from
// outside they are two, and when an update of the message comes between them the
// press hits what is no longer there, or what took its place.
func (p *page) click(selector string) {
	p.Helper()
	p.until(selector+" to be pressed", fmt.Sprintf(`((e) => {
		if (!e) return false;
		e.scrollIntoView({block: 'nearest', behavior: 'instant'});
		const r = e.getBoundingClientRect();
		if (!e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2))) return false;
		e.click();
		return true;
	})(document.querySelector(%q))`, selector))
}

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
	p.click(`[data-as="` + user + `"]`)
	p.do(chromedp.WaitVisible(`[data-as="` + user + `"][aria-checked="true"]`))
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

// small saves a picture in the size of the README, testdata/screenshots, from
// the head of the newest message on.
func (p *page) small(name string, height int64) {
	p.Helper()
	if os.Getenv("JWKSBOT_SHOTS") == "" {
		return
	}
	p.do(chromedp.EmulateViewport(1280, height))
	p.until("the newest message at the top", `requestAnimationFrame(() => [...document.querySelectorAll('#messages [data-testid="message"]')].at(-1).scrollIntoView())`)
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
