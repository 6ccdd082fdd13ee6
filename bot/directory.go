package bot

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// How long answers of the directory are believed, in real time, as Slack's
// limits are. What decides is never older than freshFor: usergroups.users.list
// allows about 20 calls a minute (docs.slack.dev, Tier 2), users.info about 100
// (Tier 4), so that a burst of clicks costs one call.
const (
	freshFor = 5 * time.Second
	groupFor = 10 * time.Minute // where a group decides nothing
)

// Directory is the runbook's directory of people, by Slack's word.
type Directory struct {
	api    *slack.Client
	people *sharedCalls[approve.Person]
	groups *sharedCalls[approve.Group]
	own    *sharedCalls[ownTeam]
}

// ownTeam is where the bot belongs to.
type ownTeam struct {
	team string
	org  string // enterprise, if any
}

// NewDirectory returns a directory over the Web API.
func NewDirectory(api *slack.Client) *Directory {
	return &Directory{api: api, people: newSharedCalls[approve.Person]("users.info"), groups: newSharedCalls[approve.Group]("usergroups.users.list"),
		own: newSharedCalls[ownTeam]("auth.test")}
}

// Person says who an id is. An id that Slack does not know is no error.
func (d *Directory) Person(ctx context.Context, id string) (approve.Person, error) {
	// The bot's own workspace never changes.
	own, err := d.own.do(ctx, "", math.MaxInt64, func(ctx context.Context) (ownTeam, error) {
		me, err := d.api.AuthTestContext(ctx)
		if err != nil {
			return ownTeam{}, err
		}
		return ownTeam{me.TeamID, me.EnterpriseID}, nil
	})
	if err != nil {
		return approve.Person{}, err
	}
	return d.people.do(ctx, id, freshFor, func(ctx context.Context) (approve.Person, error) {
		u, err := d.api.GetUserInfoContext(ctx, id)
		if code := slackCode(err); code == "user_not_found" || code == "user_not_visible" {
			return approve.Person{PersonRef: runbook.PersonRef{ID: id}, Kind: approve.KindUnknown}, nil
		}
		if err != nil {
			return approve.Person{}, err
		}
		return approve.Person{PersonRef: runbook.PersonRef{ID: id, Name: displayName(u)}, Kind: own.kind(u)}, nil
	})
}

// kind goes by what Slack says of the account, never by its name.
func (w ownTeam) kind(u *slack.User) approve.Kind {
	sameOrg := w.org != "" && u.Enterprise.EnterpriseID == w.org
	switch {
	case u.Deleted:
		return approve.KindGone
	case u.IsBot || u.IsAppUser || u.IsWorkflowBot || u.ID == "USLACKBOT":
		return approve.KindBot
	case u.IsStranger || u.TeamID != "" && u.TeamID != w.team && !sameOrg:
		return approve.KindStranger
	case u.IsRestricted || u.IsUltraRestricted:
		return approve.KindGuest
	}
	return approve.KindMember
}

func displayName(u *slack.User) string {
	for _, s := range []string{u.Profile.DisplayName, u.RealName, u.Profile.RealName, u.Name} {
		if s != "" {
			return s
		}
	}
	return u.ID
}

// Members lists the people of a user group; fresh believes nothing that is
// older than a few seconds. A group that does not exist has nobody in it.
func (d *Directory) Members(ctx context.Context, group string, fresh bool) (approve.Group, error) {
	notOlder := groupFor
	if fresh {
		notOlder = freshFor
	}
	return d.groups.do(ctx, group, notOlder, func(ctx context.Context) (approve.Group, error) {
		members, err := d.api.GetUserGroupMembersContext(ctx, group)
		if code := slackCode(err); code == "no_such_subteam" || code == "subteam_not_found" {
			return approve.Group{}, nil
		}
		return approve.Group{Members: members}, err
	})
}

// withMissingScope names the scope that is missing, where that is what is wrong.
func withMissingScope(method string, err error) error {
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) && refused.Err == "missing_scope" {
		return fmt.Errorf("%s: the bot token lacks the scope %s: add it to the app and install it again: %w", method, refused.Needed, err)
	}
	return fmt.Errorf("%s: %w", method, err)
}
