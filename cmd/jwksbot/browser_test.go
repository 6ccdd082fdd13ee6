package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook/execute"
)

// The page is asked for what a person would see of it. Selectors are those that
// bot/slacksim/page promises.
const (
	onReport = `#messages [data-testid="message"]`
	onNote   = `#messages [data-testid="ephemeral"]`
	onError  = `[data-testid="input-error"]`
)

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
	p.small("check", 780)
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

// TestDemoPageEscalated follows a flush that does not help: the message says so
// and what would, people are called once, and one of them takes over.
func TestDemoPageEscalated(t *testing.T) {
	t.Parallel()
	p := openStage(t, startDemo(t, demoCmd{Scenario: "persistent", Speed: 40, watch: execute.DefaultWatch}), "U0LEAD2")
	sim := p.stage.sim
	if d := sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-flush production INC-2026-0214-001 keys rotated at 02:40"); d.Err != nil {
		t.Fatal(d.Err)
	}
	p.shows(onReport, "Approval needed", "0 of 1")
	card := p.message("Approval needed")
	if d := sim.Click("U0LEAD", card.Channel, card.TS, "approve"); d.Err != nil {
		t.Fatal(d.Err)
	}
	p.shows(onReport, "Flushed, but failures continue", "What to do next", "Restart the authoriser", "above 10 %")
	p.shows(onReport, "Escalated, still watching", "PagerDuty accepted it", "nobody has taken over yet")
	p.threadSettles()
	p.click(`#messages [data-testid="open-thread"]`)
	p.shows("#thread", "@identity-platform", "Evidence", "What to do next")
	p.shot("14-escalated")
	p.dark("14-escalated-dark")
	p.click("#thread-close")
	p.small("watch", 780)
	p.click(`#messages [data-action-id="got_it"]`)
	p.shows(onReport, "@Noor Lind took over")
	p.until("nobody else to be asked", `!document.querySelector('#messages [data-action-id="got_it"]')`)
	p.shot("15-taken")
	if n := len(p.stage.drill.Incidents()); n != 1 {
		t.Errorf("PagerDuty has %d incidents of it", n)
	}
}

// missing are the kids of the first set that the second lacks.
func missing(live, cached []string) []string {
	return slices.DeleteFunc(slices.Clone(live), func(kid string) bool { return slices.Contains(cached, kid) })
}

// TestDemoPageChangesPerson: whoever becomes somebody else while the page is
// being told of news is somebody else: that answer, for who they were, is late.
func TestDemoPageChangesPerson(t *testing.T) {
	t.Parallel()
	p := openPage(t, "healthy", "U0ONCALL")
	p.until("answers to be held back", `(() => {
		const real = window.fetch;
		const held = [];
		window.fetch = async (...args) => {
			const answer = await real(...args);
			if (String(args[0]).startsWith('/ui/state')) await new Promise((go) => held.push(go));
			return answer;
		};
		window.held = held;
		window.letGo = () => { window.fetch = real; held.forEach((go) => go()); return true; };
		return true;
	})()`)
	if _, err := p.stage.sim.Say("U0LEAD", "C0BRIDGE", "", "is it the keys?"); err != nil {
		t.Fatal(err)
	}
	p.until("news to be under way", `held.length > 0`)
	p.click(`[data-as="U0GUEST"]`)
	p.until("the news to come", `letGo()`)
	p.do(chromedp.WaitVisible(`[data-as="U0GUEST"][aria-checked="true"]`))
}
