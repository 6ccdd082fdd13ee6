package bot

import (
	"context"
	"errors"
	"sync"
	"time"

	"jwksbot/runbook"
)

// updateEvery is the least time between two updates of one message.
const updateEvery = 3 * time.Second

// check runs the checks of a target and shows them where the command was
// typed, or privately where the bot may not post.
func (b *Bot) check(ctx context.Context, from place, a asked) error {
	t, err := b.Desk.View(ctx, a.target, from.user)
	if err != nil {
		return err
	}
	ask := runbook.Ask{Window: a.since, Kid: a.kid}
	err = b.places.postable(ctx, from.channel)
	var here *notHere
	switch {
	case errors.As(err, &here):
		return b.checkPrivately(ctx, from, t.Name, ask, here)
	case err != nil:
		return err
	}
	return b.checkInChannel(ctx, from, t.Name, t.Steps(), ask)
}

// checkPrivately loses nothing: the whole report goes to the person who asked.
func (b *Bot) checkPrivately(ctx context.Context, from place, target string, ask runbook.Ask, why *notHere) error {
	report, err := b.Desk.Check(ctx, target, from.user, ask, runbook.Silent{})
	if err != nil {
		return err
	}
	m := reportMessage(report)
	text := why.text
	if why.invite {
		text += " " + inviteLine
	}
	m.Blocks = append(m.Blocks, contextLine(text))
	m.Text += " " + why.text
	b.privateMessage(ctx, from, m)
	return nil
}

// checkInChannel posts one message and updates it as steps end.
func (b *Bot) checkInChannel(ctx context.Context, from place, target string, steps []string, ask runbook.Ask) error {
	live := &liveMessage{bot: b, from: from, target: target, started: b.Clock.Now(), changed: make(chan struct{}, 1)}
	live.Started(target, steps)
	ts, err := b.send.postSurely(ctx, from.channel, from.thread, live.render())
	if code := slackCode(err); code == "not_in_channel" || code == "channel_not_found" || code == "is_archived" {
		b.places.forget(from.channel)
		return b.checkPrivately(ctx, from, target, ask, &notHere{"jwksbot may not post into this channel.", code != "is_archived"})
	}
	if err != nil {
		return err
	}
	follow, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { live.follow(follow, ts) })
	report, err := b.Desk.Check(ctx, target, from.user, ask, live)
	stop()
	wg.Wait()
	final := message{}
	if err != nil {
		final = message{Text: refusalText(err)}
	} else {
		final = reportMessage(report)
	}
	if uerr := b.send.updateSurely(ctx, from.channel, ts, final); uerr != nil {
		// The message may have been deleted: the answer must not be.
		if _, perr := b.send.postSurely(ctx, from.channel, from.thread, final); perr != nil {
			b.privateMessage(ctx, from, final)
		}
		b.Log.Warn("the message of a check could not be updated", "channel", from.channel, "error", uerr)
	}
	if err != nil {
		return err
	}
	return b.evidence(ctx, from, ts, report)
}

// evidence puts what is long into the thread of the report.
func (b *Bot) evidence(ctx context.Context, from place, ts string, report runbook.Report) error {
	thread := ts
	if from.thread != "" {
		thread = from.thread
	}
	for _, m := range evidenceMessages(report) {
		if _, err := b.send.postSurely(ctx, from.channel, thread, m); err != nil {
			return err
		}
	}
	return nil
}

// liveMessage follows a check and keeps its message up to date meanwhile.
type liveMessage struct {
	bot     *Bot
	from    place
	target  string
	started time.Time
	changed chan struct{}

	mu    sync.Mutex
	steps []stepLine
}

// Started shows the steps that will run.
func (l *liveMessage) Started(_ string, steps []string) {
	l.mu.Lock()
	l.steps = l.steps[:0]
	for _, name := range steps {
		l.steps = append(l.steps, stepLine{Name: name})
	}
	l.mu.Unlock()
	l.touch()
}

// Step fills in one of them.
func (l *liveMessage) Step(r runbook.Result) {
	l.mu.Lock()
	for i := range l.steps {
		if l.steps[i].Name == r.Step {
			l.steps[i] = stepLine{Name: r.Step, Status: r.Status, Summary: r.Summary, Duration: r.Duration}
		}
	}
	l.mu.Unlock()
	l.touch()
}

func (l *liveMessage) touch() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *liveMessage) render() message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return progressMessage(l.target, append([]stepLine(nil), l.steps...), l.started)
}

// follow updates the message, at most once in three seconds, until the check
// has ended; the final state is sent by the caller. It waits before it
// updates, so that a quick check costs one update only.
func (l *liveMessage) follow(ctx context.Context, ts string) {
	for {
		if (runbook.SystemClock{}).Wait(ctx, updateEvery) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-l.changed:
			if err := l.bot.send.update(ctx, l.from.channel, ts, l.render()); err != nil && ctx.Err() == nil {
				l.bot.Log.Debug("progress was not shown", "error", err)
			}
		}
	}
}
