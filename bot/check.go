package bot

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/check"
)

// updateEvery is the least time between two updates of one message.
const updateEvery = 3 * time.Second

// check runs the checks of a target and shows them where the command was
// typed, or privately where the bot may not post.
func (b *Bot) check(ctx context.Context, from origin, l line) error {
	ask := check.Ask{Window: l.since, Kid: l.kid}
	t, err := b.Service.MayCheck(ctx, l.target, from.user, ask)
	if err != nil {
		return err
	}
	from.say(fmt.Sprintf("Checking %s; the result will appear when it is ready.", render.Code(t.Name)))
	return b.checkInChannel(ctx, from, t.Name, t.Steps(), ask)
}

// checkPrivately loses nothing: the whole report goes to the person who asked.
func (b *Bot) checkPrivately(ctx context.Context, from origin, target string, ask check.Ask, why *notPostable) error {
	report, err := await(ctx, func() (check.Report, error) {
		return b.Service.Check(ctx, target, from.user, ask, check.Silent{})
	})
	if err != nil {
		return err
	}
	b.homes.note(report)
	b.privateMessage(ctx, from, why.explain(render.Report(report)))
	return nil
}

// checkInChannel posts one message and updates it as steps end.
func (b *Bot) checkInChannel(ctx context.Context, from origin, target string, steps []string, ask check.Ask) error {
	live := &liveMessage{bot: b, from: from, target: target, started: b.Clock.Now(), changed: make(chan struct{}, 1)}
	live.Started(target, steps)
	ts, err := b.send.postRetrying(ctx, from.channel, from.thread, live.render())
	if why := whyPrivate(from.channel, err); why != nil {
		// The answer is not lost where the channel is not for it, but it is private.
		b.Log.Info("a check is answered privately", "channel", from.channel, "error", err)
		return b.checkPrivately(ctx, from, target, ask, why)
	}
	if err != nil {
		return err
	}
	from.answered()
	following, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { live.follow(ctx, following, ts) })
	report, err := await(ctx, func() (check.Report, error) {
		return b.Service.Check(ctx, target, from.user, ask, live)
	})
	stop()
	wg.Wait()
	switch {
	case ctx.Err() != nil:
		return b.interrupted(ctx, from, ts, target)
	case err != nil:
		b.finish(ctx, from, ts, render.CheckNotice(target, "failed", render.Refusal(err)))
		return err
	}
	b.homes.note(report)
	if !b.finish(ctx, from, ts, render.Report(report)) {
		return nil
	}
	return b.evidence(ctx, from, ts, report)
}

// finish puts the last state into the message of a check, and says whether it
// stands in the channel. The message may have been deleted meanwhile, or the
// channel may have got other readers: the answer is not lost.
func (b *Bot) finish(ctx context.Context, from origin, ts string, final render.Message) (shown bool) {
	err := b.send.updateRetrying(ctx, from.channel, ts, final)
	if err == nil {
		return true
	}
	b.Log.Warn("the message of a check could not be updated", "channel", from.channel, "error", err)
	if why := whyPrivate(from.channel, err); why != nil {
		b.privateMessage(ctx, from, why.explain(final))
		return b.withdraw(ctx, from.channel, ts)
	}
	if _, err := b.send.postRetrying(ctx, from.channel, from.thread, final); err != nil {
		b.privateMessage(ctx, from, final)
		return false
	}
	return true
}

// withdraw takes back a message that stands where others may read it now.
func (b *Bot) withdraw(ctx context.Context, channel, ts string) (shown bool) {
	if err := b.send.replace(ctx, channel, ts, render.Withdrawn()); err != nil {
		b.Log.Warn("a message could not be withdrawn", "channel", channel, "error", err)
	}
	return false
}

// interruptWithin is what may be spent on saying that a check was cut off; it
// is less than what the socket gives work to unwind.
const interruptWithin = 800 * time.Millisecond

// interrupted says in the message that its check will not end.
func (b *Bot) interrupted(ctx context.Context, from origin, ts, target string) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), interruptWithin)
	defer cancel()
	m := render.CheckNotice(target, "interrupted", "⚠ This check was interrupted by a restart of jwksbot; run it again.")
	if err := b.send.replace(last, from.channel, ts, m); err != nil {
		b.Log.Warn("a check was interrupted, and its message does not say so", "channel", from.channel, "error", err)
	}
	return nil
}

// await runs work that may not heed its context, such as a check that others
// wait for too, and stops waiting when the context ends. What is left behind
// ends by the deadlines of its own steps and changes nothing.
func await[T any](ctx context.Context, work func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if v := recover(); v != nil {
				o.err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
			}
			done <- o
		}()
		o.value, o.err = work()
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// evidence puts what is long into the thread of the report.
func (b *Bot) evidence(ctx context.Context, from origin, ts string, report check.Report) error {
	thread := ts
	if from.thread != "" {
		thread = from.thread
	}
	for _, m := range render.Evidence(report) {
		if _, err := b.send.postRetrying(ctx, from.channel, thread, m); err != nil {
			return err
		}
	}
	b.chartOfCheck(ctx, from.channel, thread, report)
	return nil
}

// chartOfCheck puts the picture of a report into its thread. Whoever waits for
// the report has it already, so that a failure is only logged.
func (b *Bot) chartOfCheck(ctx context.Context, channel, thread string, report check.Report) {
	f, ok := b.draw(render.SeriesOf(report), "jwks-check-"+report.StartedAt.UTC().Format("20060102-1504")+".png")
	if !ok {
		return
	}
	if _, err := b.send.upload(ctx, channel, thread, f); err != nil {
		b.Log.Warn("the chart of a check could not be posted", "target", report.Target, "error", err)
	}
}

// liveMessage follows a check and keeps its message up to date meanwhile.
type liveMessage struct {
	bot     *Bot
	from    origin
	target  string
	started time.Time
	changed chan struct{}

	mu    sync.Mutex
	steps []render.StepLine
}

// Started shows the steps that will run.
func (l *liveMessage) Started(_ string, steps []string) {
	l.mu.Lock()
	l.steps = l.steps[:0]
	for _, name := range steps {
		l.steps = append(l.steps, render.StepLine{Name: name})
	}
	l.mu.Unlock()
	l.touch()
}

// Step fills in one of them.
func (l *liveMessage) Step(r check.Result) {
	l.mu.Lock()
	for i := range l.steps {
		if l.steps[i].Name == r.Step {
			l.steps[i] = render.StepLine{Name: r.Step, Status: r.Status, Summary: r.Summary, Duration: r.Duration}
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

func (l *liveMessage) render() render.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return render.Progress(l.target, append([]render.StepLine(nil), l.steps...), l.started)
}

// follow updates the message, at most once in three seconds, until the check
// has ended; the final state is sent by the caller. It waits before it
// updates, so that a quick check costs one update only. An update under way is
// not broken off by the end of the check: Slack might carry it out after the
// final one.
func (l *liveMessage) follow(ctx, following context.Context, ts string) {
	for {
		if (runbook.SystemClock{}).Wait(following, l.bot.times.update) != nil {
			return
		}
		select {
		case <-following.Done():
			return
		case <-l.changed:
			if err := l.bot.send.update(ctx, l.from.channel, ts, l.render()); err != nil && ctx.Err() == nil {
				l.bot.Log.Debug("progress was not shown", "error", err)
			}
		}
	}
}
