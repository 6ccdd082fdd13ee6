package bot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// How long answers of the directory are believed, in real time, as Slack's
// limits are. What decides whether a click counts is asked anew, except within
// a burst of clicks: usergroups.users.list allows about 20 calls a minute
// (docs.slack.dev, Tier 2), users.info about 100 (Tier 4).
const (
	personFor = 5 * time.Second
	groupFor  = 10 * time.Minute
	freshFor  = 5 * time.Second
)

// Directory is the runbook's directory of people, by Slack's word.
type Directory struct {
	api *slack.Client

	mu     sync.Mutex
	team   string // of the bot
	org    string // enterprise of the bot, if any
	people map[string]known[runbook.Person]
	groups map[string]known[[]string]
	busy   map[string]*sync.Mutex // one look-up at a time for the same group
}

type known[T any] struct {
	at    time.Time
	value T
}

// NewDirectory returns a directory over the Web API.
func NewDirectory(api *slack.Client) *Directory {
	return &Directory{api: api, people: map[string]known[runbook.Person]{}, groups: map[string]known[[]string]{}, busy: map[string]*sync.Mutex{}}
}

// Person says who an id is. An id that Slack does not know is no error.
func (d *Directory) Person(ctx context.Context, id string) (runbook.Person, error) {
	d.mu.Lock()
	k, ok := d.people[id]
	d.mu.Unlock()
	if ok && time.Since(k.at) < personFor {
		return k.value, nil
	}
	if err := d.learnTeam(ctx); err != nil {
		return runbook.Person{}, err
	}
	u, err := d.api.GetUserInfoContext(ctx, id)
	if code := slackCode(err); code == "user_not_found" || code == "user_not_visible" {
		return runbook.Person{PersonRef: runbook.PersonRef{ID: id}, Kind: runbook.KindUnknown}, nil
	}
	if err != nil {
		return runbook.Person{}, scoped("users.info", err)
	}
	p := runbook.Person{PersonRef: runbook.PersonRef{ID: id, Name: displayName(u)}, Kind: d.kind(u)}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.people) > 5000 {
		clear(d.people)
	}
	d.people[id] = known[runbook.Person]{time.Now(), p}
	return p, nil
}

// kind goes by what Slack says of the account, never by its name.
func (d *Directory) kind(u *slack.User) runbook.Kind {
	d.mu.Lock()
	defer d.mu.Unlock()
	sameOrg := d.org != "" && u.Enterprise.EnterpriseID == d.org
	switch {
	case u.Deleted:
		return runbook.KindGone
	case u.IsBot || u.IsAppUser || u.IsWorkflowBot || u.ID == "USLACKBOT":
		return runbook.KindBot
	case u.IsStranger || u.TeamID != "" && u.TeamID != d.team && !sameOrg:
		return runbook.KindStranger
	case u.IsRestricted || u.IsUltraRestricted:
		return runbook.KindGuest
	}
	return runbook.KindMember
}

func displayName(u *slack.User) string {
	for _, s := range []string{u.Profile.DisplayName, u.RealName, u.Profile.RealName, u.Name} {
		if s != "" {
			return s
		}
	}
	return u.ID
}

// learnTeam asks once which workspace the bot belongs to.
func (d *Directory) learnTeam(ctx context.Context) error {
	d.mu.Lock()
	team := d.team
	d.mu.Unlock()
	if team != "" {
		return nil
	}
	me, err := d.api.AuthTestContext(ctx)
	if err != nil {
		return scoped("auth.test", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.team, d.org = me.TeamID, me.EnterpriseID
	return nil
}

// Members lists the people of a user group; fresh believes nothing that is
// older than a few seconds.
func (d *Directory) Members(ctx context.Context, group string, fresh bool) ([]string, error) {
	one := d.only(group)
	one.Lock()
	defer one.Unlock()
	d.mu.Lock()
	k, ok := d.groups[group]
	d.mu.Unlock()
	age := time.Since(k.at)
	if ok && (age < freshFor || !fresh && age < groupFor) {
		return k.value, nil
	}
	members, err := d.api.GetUserGroupMembersContext(ctx, group)
	switch code := slackCode(err); {
	case code == "no_such_subteam" || code == "subteam_not_found":
		members, err = nil, nil // a group that does not exist has nobody in it
	case err != nil:
		return nil, scoped("usergroups.users.list", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups[group] = known[[]string]{time.Now(), members}
	return members, nil
}

func (d *Directory) only(group string) *sync.Mutex {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[group] == nil {
		d.busy[group] = &sync.Mutex{}
	}
	return d.busy[group]
}

// scoped names the scope that is missing, where that is what is wrong.
func scoped(method string, err error) error {
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) && refused.Err == "missing_scope" {
		return fmt.Errorf("%s: the bot token lacks the scope %s: add it to the app and install it again: %w", method, refused.Needed, err)
	}
	return fmt.Errorf("%s: %w", method, err)
}
