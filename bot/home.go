package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// The Home tab is somebody's own view of all that they may see. It is published
// when they open it, and kept up to date for a while after that, since Slack
// says nothing when it is closed.
const (
	homeTabKept = 30 * time.Minute // after it was opened
	maxHomeTabs = 50
	// homeEvery is the least time between two rounds of updates, and homePace
	// what each call adds to it: views.publish takes about 100 calls a minute
	// (docs.slack.dev, Tier 4).
	homeEvery = 2 * time.Second
	homePace  = 700 * time.Millisecond
)

// homeTabs remembers who looks at the Home tab, and what is known of the targets.
type homeTabs struct {
	changed chan struct{} // a message of a run was posted or updated

	mu       sync.Mutex
	opened   map[string]time.Time          // user → when
	shown    map[string]string             // user → what was published last
	verdicts map[string]render.SeenVerdict // target → of its last check by this process
	links    map[runbook.Post]string       // message → permalink
	busy     map[string]map[string]int     // user → target → checks under way
}

func newHomeTabs() *homeTabs {
	return &homeTabs{changed: make(chan struct{}, 1), opened: map[string]time.Time{}, shown: map[string]string{}, verdicts: map[string]render.SeenVerdict{},
		links: map[runbook.Post]string{}, busy: map[string]map[string]int{}}
}

// changedRun says that a run looks otherwise than before.
func (h *homeTabs) changedRun() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// note remembers the verdict of a report for the Home tabs.
func (h *homeTabs) note(r check.Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := r.StartedAt; at.After(h.verdicts[r.Target].At) {
		h.verdicts[r.Target] = render.SeenVerdict{Finding: r.Diagnosis.Verdict.Finding, At: at}
	}
}

// noteOpened remembers that somebody has their Home tab before them. The one who
// opened it longest ago makes room.
func (h *homeTabs) noteOpened(user string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened[user] = time.Now()
	for len(h.opened) > maxHomeTabs {
		oldest := user
		for u, at := range h.opened {
			if at.Before(h.opened[oldest]) {
				oldest = u
			}
		}
		delete(h.opened, oldest)
		delete(h.shown, oldest)
	}
}

// openTabs lists who opened their Home tab not long ago.
func (h *homeTabs) openTabs() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for u, at := range h.opened {
		if time.Since(at) > homeTabKept {
			delete(h.opened, u)
			delete(h.shown, u)
			continue
		}
		out = append(out, u)
	}
	return out
}

// checking counts the checks that somebody began from their Home tab.
func (h *homeTabs) checking(user, target string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[user] == nil {
		h.busy[user] = map[string]int{}
	}
	if h.busy[user][target] += n; h.busy[user][target] <= 0 {
		delete(h.busy[user], target)
	}
	if len(h.busy[user]) == 0 {
		delete(h.busy, user)
	}
}

// homeEvent is the part of an event that is read.
type homeEvent struct {
	Type string `json:"type"`
	User string `json:"user"`
	Tab  string `json:"tab"`
}

// keepHomesUpToDate publishes the Home tabs anew that people have open, when something
// that they show has changed.
func (b *Bot) keepHomesUpToDate(ctx context.Context) {
	woken, unsubscribe := b.Ledger.Subscribe()
	defer unsubscribe()
	for {
		select {
		case <-ctx.Done():
			return
		case <-woken:
		case <-b.homes.changed:
		}
		looking := b.homes.openTabs()
		for _, user := range looking {
			if err := b.publishHome(ctx, user, false); err != nil && ctx.Err() == nil {
				b.Log.Debug("a Home tab is behind", "user", user, "error", err)
			}
		}
		if (runbook.SystemClock{}).Wait(ctx, homeEvery+time.Duration(len(looking))*homePace) != nil {
			return
		}
	}
}

// publishHome shows somebody what they may see: targets, requests that wait,
// what is under way and the latest runs. Unless it is forced, a view that says
// what is there already is not sent.
func (b *Bot) publishHome(ctx context.Context, user string, forced bool) error {
	in, err := b.homeOf(ctx, user)
	if err != nil {
		return err
	}
	view := slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: render.Home(in)}}
	sig, err := json.Marshal(view)
	if err != nil {
		return fmt.Errorf("home of %q: %w", user, err)
	}
	b.homes.mu.Lock()
	same := b.homes.shown[user] == string(sig)
	b.homes.mu.Unlock()
	if same && !forced {
		return nil
	}
	if _, err = b.API.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: user, View: view}); err != nil {
		return fmt.Errorf("views.publish: %w", err)
	}
	b.homes.mu.Lock()
	defer b.homes.mu.Unlock()
	if _, looks := b.homes.opened[user]; looks {
		b.homes.shown[user] = string(sig)
	}
	return nil
}

// homeOf collects what a Home tab shows.
func (b *Bot) homeOf(ctx context.Context, user string) (render.HomeInput, error) {
	in := render.HomeInput{}
	targets, err := b.Service.Visible(ctx, user)
	var refusal *runbook.Refusal
	if errors.As(err, &refusal) {
		in.Refused = render.Refusal(refusal)
		return in, nil
	}
	if err != nil {
		return in, err
	}
	names := approve.Names(targets)
	runs, err := b.newest(ctx, names)
	if err != nil {
		return in, err
	}
	for _, r := range runs {
		in.Runs = append(in.Runs, render.LinkedRun{Run: r})
	}
	for i := range in.Runs[:min(len(in.Runs), render.MaxHomeRuns)] {
		in.Runs[i].Link = b.permalink(ctx, in.Runs[i].Post)
	}
	b.homes.mu.Lock()
	defer b.homes.mu.Unlock()
	for _, name := range names {
		in.Targets = append(in.Targets, render.HomeTarget{Name: name, Verdict: b.homes.verdicts[name], Busy: b.homes.busy[user][name] > 0})
	}
	return in, nil
}

// permalink is the link of a message, "" if Slack does not give one now.
func (b *Bot) permalink(ctx context.Context, post runbook.Post) string {
	at := runbook.Post{Channel: post.Channel, TS: post.TS}
	if at.TS == "" {
		return ""
	}
	b.homes.mu.Lock()
	link := b.homes.links[at]
	b.homes.mu.Unlock()
	if link != "" {
		return link
	}
	link, err := b.API.GetPermalinkContext(ctx, &slack.PermalinkParameters{Channel: at.Channel, Ts: at.TS})
	if err != nil {
		return ""
	}
	b.homes.mu.Lock()
	defer b.homes.mu.Unlock()
	if len(b.homes.links) > 500 {
		clear(b.homes.links)
	}
	b.homes.links[at] = link
	return link
}

// checkFromHome checks a target for somebody alone: a Home tab has no channel
// to answer in. The report comes into the Messages tab.
func (b *Bot) checkFromHome(ctx context.Context, from origin, target string) error {
	t, err := b.Service.View(ctx, target, from.user)
	if err != nil {
		return err
	}
	show := func() {
		if err := b.publishHome(ctx, from.user, false); err != nil {
			b.Log.Debug("a Home tab is behind", "user", from.user, "error", err)
		}
	}
	b.homes.checking(from.user, t.Name, 1)
	show()
	err = b.checkPrivately(ctx, from, t.Name, check.Ask{Window: check.DefaultWindow},
		&notPostable{text: fmt.Sprintf("You asked on the Home tab, so only you see this. `%s %s` in the incident channel shows it to everyone.", commandCheck, render.Quoted(t.Name, render.LimitName))})
	b.homes.checking(from.user, t.Name, -1)
	show()
	return err
}
