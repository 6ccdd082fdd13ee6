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
const longerText = "This takes longer than usual. jwksbot is still at it, and the answer comes by itself."

// attention is the wait of one person for a first word about what they did. A
// nil one is nobody's.
type attention struct {
	mu      sync.Mutex // held while the interim answer is given, so that no result overtakes it
	done    bool       // they heard or saw something
	text    string     // of the interim answer
	channel string     // where they are
}

// heard says that they get an answer now, or see what came of it.
func (a *attention) heard() {
	if a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.done = true
	}
}

// meanwhile is what they are told if the answer takes longer.
func (a *attention) meanwhile(text string) {
	if a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.text = text
	}
}

// moveTo goes to the channel in which somebody is to be answered: a form has
// none of its own.
func (p *place) moveTo(channel string) {
	p.channel = channel
	if a := p.attention; a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.channel = channel
	}
}

// attended does some work for somebody, and gives them an interim answer if they
// hear nothing of it for a while.
func (b *Bot) attended(ctx context.Context, from place, work func(place) error) {
	from.attention = &attention{text: longerText, channel: from.channel}
	given := make(chan struct{})
	late := time.AfterFunc(b.times.interim, func() {
		defer close(given)
		b.interim(ctx, from)
	})
	b.guarded(ctx, from, func() error { return work(from) })
	if !late.Stop() {
		<-given
	}
}

// interim tells somebody that it takes longer, unless they have heard already.
func (b *Bot) interim(ctx context.Context, from place) {
	a := from.attention
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done {
		return
	}
	from.channel = a.channel
	if err := b.anyWay(ctx, from, render.Message{Text: a.text}); err != nil {
		b.Log.Warn("somebody could not be told that it takes longer", "user", from.user, "channel", from.channel, "error", err)
	}
}
