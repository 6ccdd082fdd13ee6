package bot

import (
	"context"
	"sync"
	"time"

	"jwksbot/bot/render"
)

// interimAfter is how long somebody waits for a first word before they are told
// that it takes longer: everybody hears something within three seconds.
const interimAfter = 2 * time.Second

// longerText is what they are told where nothing better is known.
const longerText = "This is taking longer than usual. jwksbot is still working on it and will answer."

// interimAnswer is the wait of one person for a first word about what they did. A
// nil one is nobody's.
type interimAnswer struct {
	mu      sync.Mutex // held while the interim answer is given, so that no result overtakes it
	done    bool       // they heard or saw something
	text    string     // of the interim answer
	channel string     // where they are
}

// answered says that they get an answer now, or see what came of it.
func (a *interimAnswer) answered() {
	if a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.done = true
	}
}

// say is what they are told if the answer takes longer.
func (a *interimAnswer) say(text string) {
	if a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.text = text
	}
}

// moveTo goes to the channel in which somebody is to be answered: a form has
// none of its own.
func (o *origin) moveTo(channel string) {
	o.channel = channel
	if a := o.interimAnswer; a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.channel = channel
	}
}

// serve does some work for somebody, and gives them an interim answer if they
// hear nothing of it for a while.
func (b *Bot) serve(ctx context.Context, from origin, work func(origin) error) {
	from.interimAnswer = &interimAnswer{text: longerText, channel: from.channel}
	given := make(chan struct{})
	late := time.AfterFunc(b.times.interim, func() {
		defer close(given)
		b.sendInterim(ctx, from)
	})
	b.guarded(ctx, from, func() error { return work(from) })
	if !late.Stop() {
		<-given
	}
}

// sendInterim tells somebody that it takes longer, unless they have heard already.
func (b *Bot) sendInterim(ctx context.Context, from origin) {
	a := from.interimAnswer
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done {
		return
	}
	from.channel = a.channel
	if err := b.sendPrivately(ctx, from, render.Message{Text: a.text}); err != nil {
		b.Log.Warn("somebody could not be told that it takes longer", "user", from.user, "channel", from.channel, "error", err)
	}
}
