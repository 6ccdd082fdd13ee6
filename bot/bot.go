package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/bot/socket"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// ledger is what the bot needs of the journal: to read runs, to know when one
// changed, to remember what is shown, and to know whether it can be used at all.
type ledger interface {
	Run(ctx context.Context, id string) (runbook.Run, error)
	Runs(ctx context.Context, f runbook.Filter) ([]runbook.Run, error)
	MarkShown(ctx context.Context, id string, version int64, post runbook.Post) error
	Usable() error
	Subscribe() (<-chan struct{}, func())
}

// Settings are what a Bot needs.
type Settings struct {
	API     *slack.Client
	Service *approve.Service
	Ledger  ledger
	Clock   runbook.Clock
	Log     *slog.Logger // discards
	// Present says whether this process keeps messages up to date: only one
	// replica does, so that nothing is posted twice. It is asked before each
	// message. Nil means it does.
	Present func() bool
	// Chart draws a series as a PNG; nil: no charts are posted.
	Chart func(runbook.Series) ([]byte, error)
	// Report writes the record of a run in Markdown; nil: there is none to ask for.
	Report func(ctx context.Context, run runbook.Run) ([]byte, error)
}

// Bot is the Slack side of the program.
type Bot struct {
	Settings
	socket   *socket.Client
	send     *sender
	channels *channelCache
	homes    *homeTabs
	drafts   drafts
	times    times
	http     *http.Client // for response URLs
}

// times are how long the bot waits. Only tests have others: their workspace is
// as slow as their machine, and as patient as they are.
type times struct {
	open    time.Duration // openWithin
	update  time.Duration // updateEvery
	present time.Duration // presentEvery
	interim time.Duration // interimAfter
}

// New checks the settings and returns a bot that Run runs.
func New(s Settings) (*Bot, error) {
	if s.Service == nil || s.Ledger == nil || s.Clock == nil {
		return nil, errors.New("slack bot: a service, a ledger and a clock are needed")
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Present == nil {
		s.Present = func() bool { return true }
	}
	conn, err := newSocket(s, checksDrain)
	if err != nil {
		return nil, err
	}
	channels := newChannelCache(s.API)
	return &Bot{Settings: s, socket: conn, send: newSender(s.API, channels), channels: channels, homes: newHomeTabs(),
		times: times{openWithin, updateEvery, presentEvery, interimAfter}, http: &http.Client{Timeout: privateWithin}}, nil
}

// What one person may have under way, and how long checks may take at the end.
const (
	answersEach = 16
	checksEach  = 3
	checksDrain = 10 * time.Second
)

// newSocket is the connection with the limits of the bot's two kinds of work.
func newSocket(s Settings, drain time.Duration) (*socket.Client, error) {
	return socket.New(socket.Settings{API: s.API, Log: s.Log,
		Quick: socket.Limits{Each: answersEach, TooMany: fmt.Sprintf(
			"jwksbot is still working on %d of your requests, so it did not start this one. Nothing was done; try again in a few seconds.", answersEach)},
		Slow: socket.Limits{Each: checksEach, Drain: drain, TooMany: fmt.Sprintf(
			"You already have %d checks running, so this one was not started. Wait for a result, then try again.", checksEach)},
	})
}

// Run connects and works until the context ends or an error comes that time
// does not heal: an invalid token, a missing scope, Socket Mode switched off.
//
// Messages are kept up to date until the last click that was accepted has been
// worked on.
func (b *Bot) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	showing, show := context.WithCancel(context.WithoutCancel(ctx))
	defer show()
	var wg sync.WaitGroup
	var refused error
	wg.Go(func() {
		if refused = b.checkToken(ctx); refused != nil {
			stop()
		}
	})
	wg.Go(func() { b.present(showing) })
	wg.Go(func() { b.keepHomesUpToDate(ctx) })
	err := b.socket.Run(ctx, b)
	stop()
	show()
	wg.Wait()
	if refused != nil {
		return refused
	}
	return err
}

// Ready returns nil while Slack is connected.
func (b *Bot) Ready(context.Context) error { return b.socket.Healthy() }

// Status is the state of the connection to Slack, for metrics.
func (b *Bot) Status() socket.Status { return b.socket.Status() }

// checkToken asks Slack once who the bot token belongs to, so that a wrong one
// ends the start with a clear line instead of failing at the first post. The
// socket does not wait for it.
func (b *Bot) checkToken(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		me, err := b.API.AuthTestContext(ctx)
		if err == nil {
			return tokenProblem(me)
		}
		var refused slack.SlackErrorResponse
		if errors.As(err, &refused) && isTokenError(refused.Err) {
			return fmt.Errorf("slack refuses the bot token (%s): set slack.bot_token to the app's Bot User OAuth Token, which begins with xoxb-", refused.Err)
		}
		if err := (runbook.SystemClock{}).Wait(ctx, wait); err != nil {
			return nil // asked to end before Slack answered
		}
	}
}

// tokenProblem says what a token that Slack knows lacks.
func tokenProblem(me *slack.AuthTestResponse) error {
	if me.BotID == "" {
		return errors.New("slack.bot_token is a user's token: set it to the app's Bot User OAuth Token, which begins with xoxb-")
	}
	if missing, _ := MissingScopes(me.Header); len(missing) > 0 {
		return fmt.Errorf("the bot token lacks the scopes %s: add them under OAuth & Permissions of the app (or apply what jwksbot manifest prints), reinstall the app and restart the bot", strings.Join(missing, ", "))
	}
	return nil
}

func isTokenError(code string) bool {
	switch code {
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type":
		return true
	}
	return false
}

// guarded does some work for somebody. Whatever goes wrong, they get an answer
// and the log gets the details.
func (b *Bot) guarded(ctx context.Context, from origin, work func() error) {
	defer func() {
		if v := recover(); v != nil {
			b.Log.Error("work panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()), "user", from.user)
			b.private(ctx, from, "Something went wrong inside jwksbot; its log has the details. If this was about a run, the run's message shows its state.")
		}
	}()
	err := work()
	if err == nil {
		return
	}
	var refusal *runbook.Refusal
	if !errors.As(err, &refusal) || refusal.Code == approve.RefusedUnheard || refusal.Code == approve.RefusedLimited {
		b.Log.Error("work for a user failed", "error", err, "user", from.user, "channel", from.channel)
	}
	var placed *answeredElsewhere
	if errors.As(err, &placed) {
		from = placed.where
	}
	b.private(ctx, from, render.Refusal(err))
}
