package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"jwksbot/bot"
	"jwksbot/bot/socket"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// doctor is what the exams look with.
type doctor struct {
	*parts
	w   *world
	api *slack.Client     // nil without a bot token
	dir approve.Directory // nil without a bot token
}

// newDoctor makes the targets ready; it uses no network.
func (w *world) newDoctor(ctx context.Context) (*doctor, error) {
	cfg, err := w.readConfig()
	if err != nil {
		return nil, err
	}
	w.log = slog.New(slog.NewTextHandler(io.Discard, nil)) // the lines say it
	p, err := w.assemble(ctx, cfg, w.clock)
	if err != nil {
		return nil, err
	}
	d := &doctor{parts: p, w: w}
	if cfg.Unset()["slack.bot_token"] == "" && cfg.Slack.BotToken != "" {
		d.api = slackAPI(cfg, w.getenv("SLACK_API_URL"))
		d.dir = bot.NewDirectory(d.api)
	}
	return d, nil
}

func (d *doctor) exams() []exam {
	out := []exam{d.unsetExam(), d.journalExam(), d.diskExam()}
	out = append(out, d.slackExams()...)
	if slices.ContainsFunc(d.cfg.Targets, usesAWS) {
		out = append(out, d.credentialsExam())
	}
	for i := range d.targets {
		out = append(out, d.targetExams(i)...)
	}
	return out
}

func (d *doctor) slackExams() []exam {
	if d.api == nil && (d.cfg.Slack.AppToken == "" || d.cfg.Unset()["slack.app_token"] != "") {
		return []exam{{"slack", "tokens", func(context.Context) (finding, error) {
			return notSet("neither token is set: the terminal works, the bot cannot serve; both come from the app's page at Slack")
		}}}
	}
	return []exam{{"slack", "bot token", d.botToken}, {"slack", "scopes", d.scopes}, {"slack", "app token", d.hello}}
}

func (d *doctor) needBot() error {
	if d.api == nil {
		return &remedy{errors.New("slack.bot_token is not set"), "copy the bot token (xoxb-…) from OAuth & Permissions of the app into SLACK_BOT_TOKEN"}
	}
	return nil
}

func (d *doctor) botToken(ctx context.Context) (finding, error) {
	if err := d.needBot(); err != nil {
		return finding{}, err
	}
	me, err := d.api.AuthTestContext(ctx)
	switch {
	case err != nil:
		return finding{}, slackFault("auth.test", err)
	case me.BotID == "":
		return finding{}, &remedy{errors.New("this is a user's token, not the bot's"), "copy the bot token (xoxb-…) from OAuth & Permissions of the app into SLACK_BOT_TOKEN"}
	}
	return well("%s of %s", me.User, me.Team)
}

func (d *doctor) scopes(ctx context.Context) (finding, error) {
	if err := d.needBot(); err != nil {
		return finding{}, err
	}
	me, err := d.api.AuthTestContext(ctx)
	if err != nil {
		return finding{}, slackFault("auth.test", err)
	}
	missing, ok := bot.MissingScopes(me.Header)
	if !ok {
		return doubt("compare the app with: jwksbot manifest", "Slack did not say which scopes the token has")
	}
	if len(missing) > 0 {
		return finding{}, &remedy{fmt.Errorf("missing: %s", strings.Join(missing, ", ")), "add them under OAuth & Permissions (or take over: jwksbot manifest) and install the app again"}
	}
	return well("all %d are there", len(bot.Scopes()))
}

// hello opens a Socket Mode connection until Slack says hello, and leaves. In
// that moment Slack may deliver something to it: whoever typed it is told.
func (d *doctor) hello(ctx context.Context) (finding, error) {
	if d.cfg.Slack.AppToken == "" || d.cfg.Unset()["slack.app_token"] != "" {
		return finding{}, &remedy{errors.New("slack.app_token is not set"), "make an app-level token (xapp-…, scope connections:write) under Basic Information of the app and put it into SLACK_APP_TOKEN"}
	}
	api := slackAPI(d.cfg, d.w.getenv("SLACK_API_URL"))
	s, err := socket.New(socket.Settings{API: api, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return finding{}, err
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, bystander{}) }()
	select {
	case err := <-ended:
		var permanent *socket.PermanentError
		if errors.As(err, &permanent) {
			return finding{}, &remedy{fmt.Errorf("slack answers %q", permanent.Code), permanent.Advice}
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("slack did not say hello within %s", runbook.Duration(examWithin))
		}
		return finding{}, &remedy{err, "let this machine reach slack.com and wss-primary.slack.com over HTTPS; a proxy is taken from HTTPS_PROXY"}
	case <-s.Ready():
	}
	others := s.Status().Reported - 1
	leave()
	<-ended
	if others > 0 {
		return well("Socket Mode says hello; %s of this app open besides", runbook.Plural(others, "connection is", "connections are"))
	}
	return well("Socket Mode says hello; no other connection of this app is open")
}

// bystander answers what comes in the moment of the doctor's connection.
type bystander struct{}

// Accept tells a command to be typed again, and does nothing.
func (bystander) Accept(socket.Envelope) socket.Work {
	return socket.Work{Reply: map[string]string{"text": "Somebody runs jwksbot doctor, which caught this. Please send it once more."}}
}

// slackFault says what to do about an error of the Web API.
func slackFault(method string, err error) error {
	var answer slack.SlackErrorResponse
	if !errors.As(err, &answer) {
		return &remedy{fmt.Errorf("%s: %w", method, err), "let this machine reach slack.com over HTTPS; a proxy is taken from HTTPS_PROXY"}
	}
	fix := "see docs.slack.dev for this error of " + method
	switch answer.Err {
	case "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "not_allowed_token_type":
		fix = "copy the bot token (xoxb-…) from OAuth & Permissions of the app into SLACK_BOT_TOKEN; install the app again if it was removed"
	case "missing_scope":
		fix = "add the scope " + answer.Needed + " under OAuth & Permissions and install the app again"
	case "ratelimited":
		fix = "wait a minute"
	}
	return &remedy{fmt.Errorf("%s: Slack answers %q", method, answer.Err), fix}
}

// channelExam says whether the bot is in the channel of a target.
func (d *doctor) channelExam(t *check.Target) exam {
	return exam{t.Name, "channel", func(ctx context.Context) (finding, error) {
		if t.Channel == "" {
			return notSet("channel is not set: what the terminal requests and what the rotation watcher sees has no place in Slack")
		}
		if d.api == nil {
			return notSet("%s: not looked at without a bot token", t.Channel)
		}
		want := strings.TrimPrefix(t.Channel, "#")
		for cursor := ""; ; {
			list, next, err := d.api.GetConversationsForUserContext(ctx, &slack.GetConversationsForUserParameters{
				Types: []string{"public_channel", "private_channel"}, ExcludeArchived: true, Limit: 200, Cursor: cursor})
			if err != nil {
				return finding{}, slackFault("users.conversations", err)
			}
			for _, c := range list {
				if c.ID == want || c.Name == want {
					return well("the bot is in #%s", c.Name)
				}
			}
			if cursor = next; cursor == "" {
				return finding{}, &remedy{fmt.Errorf("the bot is not in %q", t.Channel), "type /invite @jwksbot there; check the name if it is there already"}
			}
		}
	}}
}

// policyExam says whether enough people can request and approve.
func (d *doctor) policyExam(t *check.Target) exam {
	return exam{t.Name, "approval policy", func(ctx context.Context) (finding, error) {
		p := t.Policy
		if len(p.Requesters) == 0 || len(p.Approvers) == 0 {
			return notSet("approval.requesters or approval.approvers is empty: this target can be checked, and nothing else")
		}
		if d.dir == nil {
			return notSet("not looked at without a bot token")
		}
		requesters, unknown, err := d.members(ctx, p.Requesters)
		if err != nil {
			return finding{}, err
		}
		approvers, more, err := d.members(ctx, p.Approvers)
		if err != nil {
			return finding{}, err
		}
		if satisfiable(requesters, approvers, p) {
			return well("%s, %s, %d needed", runbook.Plural(len(requesters), "person may request", "people may request"), runbook.Plural(len(approvers), "may approve", "may approve"), p.Required)
		}
		text := fmt.Sprintf("%d may request, %d may approve, %d needed besides the requester: no request could ever be approved", len(requesters), len(approvers), p.Required)
		if unknown = append(unknown, more...); len(unknown) > 0 {
			text += "; not counted, since Slack knows no full member by that id: " + strings.Join(unknown, ", ")
		}
		return finding{}, &remedy{errors.New(text), "add people to the user groups under approval, correct the ids, or lower approval.required"}
	}}
}

// satisfiable says whether some requester could get enough approvals.
func satisfiable(requesters, approvers []string, p runbook.Policy) bool {
	for _, r := range requesters {
		n := len(approvers)
		if slices.Contains(approvers, r) && !p.SelfApproval {
			n--
		}
		if n >= p.Required {
			return true
		}
	}
	return false
}

// members are the full members that a list of users and groups comes to;
// unknown are the users of the list who are none.
func (d *doctor) members(ctx context.Context, list []string) (out, unknown []string, err error) {
	for _, id := range list {
		ids := []string{id}
		if approve.IsGroup(id) {
			group, err := d.dir.Members(ctx, id, true)
			if err != nil {
				return nil, nil, slackOr(err)
			}
			if ids = group.Members; len(ids) == 0 {
				return nil, nil, &remedy{fmt.Errorf("user group %s is empty or does not exist", id), "check the id (S…) in Slack, and put people into the group"}
			}
		}
		for _, one := range ids {
			who, err := d.dir.Person(ctx, one)
			switch {
			case err != nil:
				return nil, nil, slackOr(err)
			case who.Kind != approve.KindMember && one == id:
				unknown = append(unknown, id)
			case who.Kind == approve.KindMember && !slices.Contains(out, one):
				out = append(out, one)
			}
		}
	}
	return out, unknown, nil
}

func slackOr(err error) error {
	return &remedy{err, "the policy cannot be looked at until Slack answers; see the lines on the bot token and its scopes"}
}
