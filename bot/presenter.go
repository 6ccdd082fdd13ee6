package bot

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sort"
	"strings"
	"time"

	"jwksbot/bot/render"
	"jwksbot/runbook"
)

// presentEvery is how often the journal is looked at for changes that another
// process made.
const presentEvery = time.Second

// presenter keeps the message of every run equal to its row in the journal.
// It is the only one that posts and updates those messages, so that no two
// updates of one message ever race.
type presenter struct {
	bot  *Bot
	send *sender                  // sends while it is this process that presents
	next map[string]time.Time     // run → not before, after an update or a failure
	slow map[string]time.Duration // run → present backoff
	seen map[string]runbook.State // run → state that was shown last
}

// present reconciles until the context ends, and once more after that, so that
// an end that came with the shutdown is shown.
func (b *Bot) present(ctx context.Context) {
	p := &presenter{bot: b, send: b.send.onlyWhile(b.Present), next: map[string]time.Time{}, slow: map[string]time.Duration{}, seen: map[string]runbook.State{}}
	woken, unsubscribe := b.Ledger.Subscribe()
	defer unsubscribe()
	tick := time.NewTicker(b.times.present)
	defer tick.Stop()
	for {
		p.reconcile(ctx)
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			p.reconcile(last)
			cancel()
			return
		case <-woken:
		case <-tick.C:
		}
	}
}

// reconcile shows every run whose message is behind, the important ones first.
func (p *presenter) reconcile(ctx context.Context) {
	if !p.bot.Present() {
		return
	}
	runs, err := p.bot.Ledger.Runs(ctx, runbook.Filter{Unshown: true})
	if err != nil {
		if ctx.Err() == nil && !runbook.LedgerAway(err) {
			p.bot.Log.Error("runs to show", "error", err)
		}
		return
	}
	sort.SliceStable(runs, func(i, j int) bool { return urgency(runs[i]) < urgency(runs[j]) })
	for _, run := range runs {
		if ctx.Err() != nil || !p.bot.Present() {
			return
		}
		if p.due(run) {
			p.try(ctx, run)
		}
	}
	if len(p.next) > 1000 {
		clear(p.next)
		clear(p.slow)
		clear(p.seen)
	}
}

// urgency orders runs when Slack limits the rate: ends and calls for help
// first, then requests that wait for people, then progress.
func urgency(r runbook.Run) int {
	switch {
	case r.State.Ended(), r.Escalation != nil && r.Escalation.Pinged == "":
		return 0
	case r.State == runbook.StatePending:
		return 1
	}
	return 2
}

// due says whether the run's message may be touched now: at most one update in
// three seconds, except for a first post, a decision and an end.
func (p *presenter) due(run runbook.Run) bool {
	at, known := p.next[run.ID]
	if !known || time.Now().After(at) {
		return true
	}
	return p.slow[run.ID] == 0 && p.seen[run.ID] != run.State &&
		(run.State.Ended() || run.State == runbook.StateApproved || run.State == runbook.StateEscalate)
}

func (p *presenter) try(ctx context.Context, run runbook.Run) {
	err := p.showSafely(ctx, run)
	if err == nil {
		delete(p.slow, run.ID)
		p.seen[run.ID] = run.State
		p.next[run.ID] = time.Now().Add(p.bot.times.update)
		p.bot.homes.changedRun()
		return
	}
	if ctx.Err() != nil || errors.Is(err, errNotPresenter) {
		return
	}
	wait := min(max(2*p.slow[run.ID], time.Second), time.Minute)
	var again *retryError
	if errors.As(err, &again) && again.after > wait {
		wait = again.after
	}
	p.slow[run.ID] = wait
	p.next[run.ID] = time.Now().Add(wait)
	p.bot.Log.Warn("a run's message is behind", "run", run.ID, "state", run.State, "again_in_ms", wait.Milliseconds(), "error", err)
}

// showWithin bounds the calls for one run. They are not broken off by the end
// of the program: Slack might carry one out after a later update.
const showWithin = 15 * time.Second

// showSafely is show, where a panic is an error like others: it must not end the
// program, and not the messages of other runs either.
func (p *presenter) showSafely(ctx context.Context, run runbook.Run) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), showWithin)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return p.show(ctx, run)
}

// oldNews is how long ago a run must have ended so that it gets no message any
// more, if it never had one: it was carried out where no bot was. Of break-glass
// the approvers are told however late.
const oldNews = 24 * time.Hour

func (p *presenter) old(run runbook.Run) bool {
	return run.State.Ended() && p.bot.Clock.Now().Sub(run.EndedAt) > oldNews
}

// show brings one message up to date and remembers what it shows.
func (p *presenter) show(ctx context.Context, run runbook.Run) error {
	b := p.bot
	if run.Post.TS == "" && p.old(run) && run.BreakGlass == "" {
		return b.Ledger.MarkShown(ctx, run.ID, run.Version, run.Post)
	}
	if run.Post.TS != "" {
		// A call for help does not wait for an update. What fails here is tried
		// again below, once the message is where it belongs.
		_ = p.pingOnCall(ctx, &run, run.Post)
	}
	post, err := p.message(ctx, run)
	if err != nil {
		return err
	}
	if post != run.Post {
		// The message is there: remember it before anything else can fail.
		if err := p.remember(ctx, run, post); err != nil {
			return err
		}
	}
	if err := p.remind(ctx, run, &post); err != nil {
		return err
	}
	for _, once := range []func(context.Context, *runbook.Run, runbook.Post) error{p.breakGlassNotice, p.pingOnCall} {
		if err := once(ctx, &run, post); err != nil {
			return err
		}
	}
	home := p.breakGlassElsewhere(ctx, &run, post) // another channel: what fails there holds up nothing here
	if err := p.evidence(ctx, run, &post); err != nil {
		return err
	}
	if err := p.chart(ctx, &run, post); err != nil {
		return err
	}
	if home != nil {
		return home
	}
	return b.Ledger.MarkShown(ctx, run.ID, run.Version, post)
}

// remember keeps where things stand while the run still counts as not shown.
func (p *presenter) remember(ctx context.Context, run runbook.Run, post runbook.Post) error {
	return p.bot.Ledger.MarkShown(ctx, run.ID, run.Version-1, post)
}

// message posts or updates the run's message and returns where it stands. A
// channel that turns out to be closed, or not to be for it, is left for the
// target's.
func (p *presenter) message(ctx context.Context, run runbook.Run) (runbook.Post, error) {
	m := render.Run(run, p.bot.Clock.Now())
	post, err := p.put(ctx, run, m, "", nil)
	if !notThere(err) {
		return post, err
	}
	why := err
	if post, err = p.put(ctx, run, m, post.Channel, why); err != nil {
		return post, err
	}
	var here *notPostable
	if run.Post.TS != "" && errors.As(why, &here) && here.shared {
		p.bot.withdraw(ctx, run.Post.Channel, run.Post.TS)
	}
	return post, nil
}

// notThere says that a channel takes no message of the bot, or not this one.
func notThere(err error) bool {
	return takesNoMessage(slackCode(err)) || errors.As(err, new(*notPostable))
}

// put updates the message; one that was deleted, or is not ours, is posted anew.
// refused is the channel that was tried in vain, and why.
func (p *presenter) put(ctx context.Context, run runbook.Run, m render.Message, refused string, why error) (runbook.Post, error) {
	post, err := p.channelFor(ctx, run, refused, why)
	if err != nil {
		return post, err
	}
	if post.TS != "" {
		err := p.send.update(ctx, post.Channel, post.TS, m)
		switch slackCode(err) {
		case "message_not_found", "cant_update_message", "edit_window_closed":
			post = runbook.Post{Channel: post.Channel}
		default:
			return post, err
		}
	}
	ts, err := p.send.post(ctx, post.Channel, "", false, m)
	post.TS = ts
	return post, err
}

// channelFor finds the channel of a run's message: where it stands, else the
// channel of the request, else its target's.
func (p *presenter) channelFor(ctx context.Context, run runbook.Run, refused string, why error) (runbook.Post, error) {
	b, post := p.bot, run.Post
	if post.Channel != "" {
		id, err := b.channels.resolve(ctx, post.Channel)
		if err == nil && id != refused {
			post.Channel = id
			return post, nil
		}
		if here := (*notPostable)(nil); err != nil && !errors.As(err, &here) {
			return post, err
		}
	}
	t, err := b.Service.Target(run.Target)
	if err != nil {
		return post, err
	}
	id, err := b.channels.resolve(ctx, t.Channel)
	if err != nil {
		return post, err
	}
	if id == refused {
		return post, fmt.Errorf("channel %q does not accept messages from the bot: invite it there, or configure another: %w", t.Channel, why)
	}
	if post.Channel != "" && id != post.Channel {
		b.Log.Warn("a run's channel is closed to the bot; its message goes to the target's channel", "run", run.ID, "channel", post.Channel)
	}
	return runbook.Post{Channel: id}, nil
}

// remind calls the approvers once, in the thread, when half of the time is over.
func (p *presenter) remind(ctx context.Context, run runbook.Run, post *runbook.Post) error {
	b := p.bot
	if run.State != runbook.StatePending || !run.RemindAt.IsZero() || post.Reminder != "" {
		return nil
	}
	ts, err := p.send.post(ctx, post.Channel, post.TS, true, render.Reminder(run, p.approvers(run), b.Clock.Now()))
	if err != nil {
		return err
	}
	post.Reminder = ts
	return p.remember(ctx, run, *post)
}

// evidence puts the proof of an ended run into its thread, once. Post.Evidence
// lists the timestamps of what stands there already, with commas between.
func (p *presenter) evidence(ctx context.Context, run runbook.Run, post *runbook.Post) error {
	there := 0
	if post.Evidence != "" {
		there = 1 + strings.Count(post.Evidence, ",")
	}
	messages := render.RunThread(run)
	for _, m := range messages[min(there, len(messages)):] {
		ts, err := p.send.post(ctx, post.Channel, post.TS, false, m)
		if err != nil {
			return err
		}
		post.Evidence = strings.TrimPrefix(post.Evidence+","+ts, ",")
		if err := p.remember(ctx, run, *post); err != nil {
			return err
		}
	}
	return nil
}
