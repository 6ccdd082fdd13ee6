package slacksim

import (
	"fmt"
	"slices"
	"strings"
)

// Ids of the workspace, its app and its bot user.
const (
	TeamID     = "T0NORTHWND"
	OtherTeam  = "T0CONTOSO1" // the organisation that shares a channel
	AppID      = "A0JWKSBOT1"
	BotID      = "B0JWKSBOT1"
	BotUser    = "U0JWKSBOT"
	SystemUser = "USLACKBOT" // says what the workspace itself has to say
	teamDomain = "northwind-identity"
)

// User is one member of the workspace, or a visitor from another one.
type User struct {
	ID       string
	Name     string // handle
	RealName string // shown
	Caption  string // role, shown on the page only
	TeamID   string // default TeamID

	Bot             bool
	Restricted      bool // guest
	UltraRestricted bool // single-channel guest
	Stranger        bool // from another workspace, seen through a shared channel
	Deleted         bool
}

func (u User) team() string {
	if u.TeamID != "" {
		return u.TeamID
	}
	return TeamID
}

// Channel is one conversation. The bot is in it if Members names BotUser.
type Channel struct {
	ID        string
	Name      string
	Topic     string
	Private   bool
	ExtShared bool // shared with another organisation
	Archived  bool
	IM        string // the other person of a direct message with the bot
	Members   []string
}

func (c *Channel) has(user string) bool { return slices.Contains(c.Members, user) }

// payloadName is the name that slash commands and clicks carry: Slack hides the
// names of private channels and direct messages.
func (c *Channel) payloadName() string {
	switch {
	case c.IM != "":
		return "directmessage"
	case c.Private:
		return "privategroup"
	}
	return c.Name
}

// UserGroup is one user group ("S…").
type UserGroup struct {
	ID     string
	Handle string
	Name   string
	Users  []string
}

// CommandHelp is one slash command of the app, as its manifest describes it.
type CommandHelp struct {
	Command     string `json:"command"` // with the slash
	Description string `json:"description"`
	Usage       string `json:"usage"`
}

// Shortcut is one message shortcut of the app.
type Shortcut struct {
	CallbackID string `json:"callback_id"`
	Name       string `json:"name"`
}

// DefaultUsers are the fictional people of the demo workspace.
func DefaultUsers() []User {
	return []User{
		{ID: "U0ONCALL", Name: "robin", RealName: "Robin Ashe", Caption: "on-call engineer"},
		{ID: "U0LEAD", Name: "sam", RealName: "Sam Okoro", Caption: "team lead, may approve"},
		{ID: "U0LEAD2", Name: "noor", RealName: "Noor Lind", Caption: "second lead, may approve"},
		{ID: "U0OUTSIDER", Name: "alex", RealName: "Alex Moreau", Caption: "engineer of another team"},
		{ID: "U0GUEST", Name: "kit", RealName: "Kit Varga", Caption: "guest", Restricted: true},
		{ID: "U0STRANGER", Name: "jo", RealName: "Jo Brandt", Caption: "from another organisation", TeamID: OtherTeam, Stranger: true},
		{ID: BotUser, Name: "jwksbot", RealName: "jwksbot", Bot: true},
		{ID: SystemUser, Name: "workspace", RealName: "Workspace", Bot: true},
	}
}

// DefaultChannels are the channels of the demo workspace.
func DefaultChannels() []Channel {
	full := []string{"U0ONCALL", "U0LEAD", "U0LEAD2", "U0OUTSIDER"}
	return []Channel{
		{ID: "C0BRIDGE", Name: "inc-bridge", Topic: "Incident bridge. One incident at a time.", Members: append([]string{"U0GUEST", BotUser}, full...)},
		{ID: "C0IDENTITY", Name: "identity-platform", Topic: "Where the Identity Platform team talks", Members: full},
		{ID: "C0PARTNER", Name: "partner-contoso", Topic: "Shared with Contoso", ExtShared: true, Members: append([]string{"U0STRANGER", BotUser}, full...)},
		{ID: "C0PRIVATE", Name: "inc-private", Topic: "Restricted incidents", Private: true, Members: []string{"U0ONCALL", "U0LEAD", "U0LEAD2"}},
		{ID: "C0OLD", Name: "inc-2025-archive", Archived: true, Members: append([]string{BotUser}, full...)},
	}
}

// DefaultGroups are the user groups that the example configuration names.
func DefaultGroups() []UserGroup {
	return []UserGroup{
		{ID: "S0ONCALL", Handle: "identity-oncall", Name: "Identity on-call", Users: []string{"U0ONCALL", "U0LEAD"}},
		{ID: "S0LEADS", Handle: "identity-leads", Name: "Identity leads", Users: []string{"U0LEAD", "U0LEAD2"}},
		{ID: "S0IDENTITY", Handle: "identity-platform", Name: "Identity Platform team", Users: []string{"U0ONCALL", "U0LEAD", "U0LEAD2"}},
	}
}

// DefaultScopes is the least that jwksbot works with.
func DefaultScopes() []string {
	return []string{"commands", "chat:write", "files:write", "usergroups:read", "users:read", "channels:read", "groups:read"}
}

// Join makes user a member of channel (id or name), as /invite does.
func (s *Sim) Join(channel, user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channel(channel)
	if c == nil {
		return fmt.Errorf("slack workspace: no channel %q", channel)
	}
	if !c.has(user) {
		c.Members = append(c.Members, user)
		s.touch()
	}
	return nil
}

// SetUser replaces what the workspace knows of somebody, or adds them.
func (s *Sim) SetUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = slices.DeleteFunc(s.users, func(known User) bool { return known.ID == u.ID })
	s.users = append(s.users, u)
	s.touch()
}

// SetShared says whether a channel (id or name) is shared with another
// organisation.
func (s *Sim) SetShared(channel string, shared bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channel(channel); c != nil {
		c.ExtShared = shared
		s.touch()
	}
}

// SetGroup replaces the members of a user group.
func (s *Sim) SetGroup(id string, users ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.groups {
		if s.groups[i].ID == id {
			s.groups[i].Users = users
			s.touch()
		}
	}
}

// channel finds a channel by id or name ("inc-bridge", "#inc-bridge"). s.mu is
// held.
func (s *Sim) channel(ref string) *Channel {
	name := strings.TrimPrefix(ref, "#")
	for _, c := range s.channels {
		if c.ID == ref || (name != "" && c.Name == name) {
			return c
		}
	}
	return nil
}

// user finds a user by id. s.mu is held.
func (s *Sim) user(id string) (User, bool) {
	for _, u := range s.users {
		if u.ID == id {
			return u, true
		}
	}
	return User{}, false
}

// direct returns the direct message channel of a user with the bot, and makes
// it if there is none. s.mu is held.
func (s *Sim) direct(user string) *Channel {
	for _, c := range s.channels {
		if c.IM == user {
			return c
		}
	}
	c := &Channel{ID: s.newID("D"), IM: user, Members: []string{user, BotUser}}
	s.channels = append(s.channels, c)
	return c
}
