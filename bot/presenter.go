package bot

import (
	"context"
	"errors"
	"sort"
	"time"

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
	next map[string]time.Time     // run → not before, after an update or a failure
	slow map[string]time.Duration // run → present backoff
	seen map[string]runbook.State // run → state that was shown last
}

// present reconciles until the context ends, and once more after that, so that
// an end that came with the shutdown is shown.
func (b *Bot) present(ctx context.Context) {
	p := &presenter{bot: b, next: map[string]time.Time{}, slow: map[string]time.Duration{}, seen: map[string]runbook.State{}}
	woken, unsubscribe := b.Ledger.Subscribe()
	defer unsubscribe()
	tick := time.NewTicker(presentEvery)
	defer tick.Stop()
	for {
		if b.Present() {
			p.reconcile(ctx)
		}
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
	runs, err := p.bot.Ledger.Runs(ctx, runbook.Filter{Unshown: true})
	if err != nil {
		if ctx.Err() == nil {
			p.bot.Log.Error("runs to show", "error", err)
		}
		return
	}
	sort.SliceStable(runs, func(i, j int) bool { return urgency(runs[i]) < urgency(runs[j]) })
	for _, run := range runs {
		if ctx.Err() != nil {
			return
		}
		if p.due(run) {
			p.guarded(ctx, run)
		}
	}
	if len(p.next) > 1000 {
		clear(p.next)
		clear(p.slow)
		clear(p.seen)
	}
}

// urgency orders runs when Slack limits the rate: ends first, then requests
// that wait for people, then progress.
func urgency(r runbook.Run) int {
	switch {
	case r.State.Ended():
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
	return p.slow[run.ID] == 0 && p.seen[run.ID] != run.State && (run.State.Ended() || run.State == runbook.StateApproved)
}

func (p *presenter) guarded(ctx context.Context, run runbook.Run) {
	err := p.show(ctx, run)
	if err == nil {
		delete(p.slow, run.ID)
		p.seen[run.ID] = run.State
		p.next[run.ID] = time.Now().Add(updateEvery)
		return
	}
	if ctx.Err() != nil {
		return
	}
	wait := min(max(2*p.slow[run.ID], time.Second), time.Minute)
	var again *retryError
	if errors.As(err, &again) && again.after > wait {
		wait = again.after
	}
	p.slow[run.ID] = wait
	p.next[run.ID] = time.Now().Add(wait)
	p.bot.Log.Warn("a run's message is behind", "run", run.ID, "state", run.State, "again_in", wait, "error", err)
}

// show brings one message up to date and remembers what it shows.
func (p *presenter) show(ctx context.Context, run runbook.Run) error {
	b := p.bot
	post, err := p.place(ctx, run)
	if err != nil {
		return err
	}
	m := runMessage(run, b.Clock.Now())
	if post.TS != "" {
		err = b.send.update(ctx, post.Channel, post.TS, m)
		if code := slackCode(err); code == "message_not_found" || code == "cant_update_message" || code == "channel_not_found" {
			post.TS, post.Evidence, post.Reminder = "", "", "" // it was deleted, or is not ours: show it anew
		}
	}
	if post.TS == "" {
		post.TS, err = b.send.post(ctx, post.Channel, "", false, m)
	}
	if err != nil {
		return err
	}
	// The message is there: remember it before anything else can fail.
	if err := b.Ledger.MarkShown(ctx, run.ID, run.Version-1, post); err != nil {
		return err
	}
	if err := p.thread(ctx, run, &post); err != nil {
		return err
	}
	return b.Ledger.MarkShown(ctx, run.ID, run.Version, post)
}

// place finds the channel of a run's message: the run's own, else its target's.
func (p *presenter) place(ctx context.Context, run runbook.Run) (runbook.Post, error) {
	b, post := p.bot, run.Post
	var here *notHere
	if post.Channel != "" {
		id, err := b.places.resolve(ctx, post.Channel)
		if err == nil && post.TS == "" {
			err = b.places.postable(ctx, id)
		}
		if err == nil {
			post.Channel = id
			return post, nil
		}
		if !errors.As(err, &here) {
			return post, err
		}
	}
	t, err := b.Desk.Target(run.Target)
	if err != nil {
		return post, err
	}
	id, err := b.places.resolve(ctx, t.Channel)
	if err != nil {
		return post, err
	}
	if id != post.Channel {
		b.Log.Warn("a run's channel is closed to the bot; its message goes to the target's channel", "run", run.ID, "channel", post.Channel)
		post = runbook.Post{Channel: id}
	}
	return post, b.places.postable(ctx, id)
}

// thread adds what belongs below the message: one reminder while it waits, and
// the evidence once it has ended.
func (p *presenter) thread(ctx context.Context, run runbook.Run, post *runbook.Post) error {
	b := p.bot
	if run.State == runbook.StatePending && run.RemindAt.IsZero() && post.Reminder == "" {
		var approvers []string
		if t, err := b.Desk.Target(run.Target); err == nil {
			approvers = t.Policy.Approvers
		}
		ts, err := b.send.post(ctx, post.Channel, post.TS, true, reminderMessage(run, approvers, b.Clock.Now()))
		if err != nil {
			return err
		}
		post.Reminder = ts
	}
	if !run.State.Ended() || post.Evidence != "" {
		return nil
	}
	for _, m := range runThreadMessages(run) {
		ts, err := b.send.post(ctx, post.Channel, post.TS, false, m)
		if err != nil {
			return err
		}
		post.Evidence = ts
	}
	return nil
}
