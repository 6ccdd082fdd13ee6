package slacksim

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

func (s *Sim) conversationInfo(c *call) (obj, error) {
	ch := s.visible(c.str("channel"))
	if ch == nil {
		return nil, refuse("channel_not_found")
	}
	if err := s.mayRead(ch); err != nil {
		return nil, err
	}
	out := s.wireChannel(ch)
	if c.truth("include_num_members") {
		out["num_members"] = len(ch.Members)
	}
	return obj{"channel": out}, nil
}

// kindOf is the conversation type and the scope that reading it needs.
func kindOf(ch *Channel) (kind, scope string) {
	switch {
	case ch.IM != "":
		return "im", "im:read"
	case ch.Private:
		return "private_channel", "groups:read"
	}
	return "public_channel", "channels:read"
}

func (s *Sim) mayRead(ch *Channel) error {
	_, scope := kindOf(ch)
	if ch.IM == "" && !slices.Contains(s.opt.Scopes, scope) {
		return s.missingScope(scope)
	}
	return nil
}

func (s *Sim) wireChannel(ch *Channel) obj {
	if ch.IM != "" {
		return obj{"id": ch.ID, "is_im": true, "user": ch.IM, "is_open": true, "context_team_id": TeamID}
	}
	return obj{
		"id": ch.ID, "name": ch.Name, "name_normalized": ch.Name,
		"is_channel": !ch.Private, "is_group": ch.Private, "is_im": false, "is_mpim": false,
		"is_private": ch.Private, "is_archived": ch.Archived, "is_general": false,
		"is_shared": ch.ExtShared, "is_ext_shared": ch.ExtShared, "is_org_shared": false,
		"is_member": ch.has(BotUser), "creator": "U0LEAD", "context_team_id": TeamID,
		"topic": obj{"value": ch.Topic, "creator": "", "last_set": 0}, "purpose": obj{"value": "", "creator": "", "last_set": 0},
	}
}

func (s *Sim) conversationList(c *call) (obj, error) {
	return s.listChannels(c, func(*Channel) bool { return true })
}

func (s *Sim) userConversations(c *call) (obj, error) {
	user := c.str("user")
	if user == "" {
		user = BotUser
	}
	return s.listChannels(c, func(ch *Channel) bool { return ch.has(user) })
}

func (s *Sim) listChannels(c *call, want func(*Channel) bool) (obj, error) {
	types := strings.Split(c.str("types"), ",")
	if c.str("types") == "" {
		types = []string{"public_channel"}
	}
	var all []any
	for _, ch := range s.channels {
		kind, _ := kindOf(ch)
		if !slices.Contains(types, kind) || s.visible(ch.ID) == nil || !want(ch) {
			continue
		}
		if ch.Archived && c.truth("exclude_archived") {
			continue
		}
		if err := s.mayRead(ch); err != nil {
			return nil, err
		}
		all = append(all, s.wireChannel(ch))
	}
	return page(c, "channels", all)
}

// page returns one page of a list, with a cursor to the next.
func page(c *call, name string, all []any) (obj, error) {
	from := 0
	if cur := c.str("cursor"); cur != "" {
		b, err := base64.StdEncoding.DecodeString(cur)
		if err == nil {
			from, err = strconv.Atoi(string(b))
		}
		if err != nil || from < 0 || from > len(all) {
			return nil, refuse("invalid_cursor")
		}
	}
	limit, _ := strconv.Atoi(c.str("limit"))
	if limit <= 0 {
		limit = 100
	}
	to, next := min(from+limit, len(all)), ""
	if to < len(all) {
		next = base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(to)))
	}
	items := append([]any{}, all[from:to]...)
	return obj{name: items, "response_metadata": obj{"next_cursor": next}}, nil
}

func (s *Sim) conversationMembers(c *call) (obj, error) {
	ch := s.visible(c.str("channel"))
	if ch == nil {
		return nil, refuse("channel_not_found")
	}
	if err := s.mayRead(ch); err != nil {
		return nil, err
	}
	var all []any
	for _, m := range ch.Members {
		all = append(all, m)
	}
	return page(c, "members", all)
}

func (s *Sim) conversationOpen(c *call) (obj, error) {
	u, ok := s.user(c.str("users"))
	switch {
	case c.str("users") == "":
		return nil, refuse("users_list_not_supplied")
	case strings.Contains(c.str("users"), ","):
		return nil, refuse("not_enough_users")
	case !ok:
		return nil, refuse("user_not_found")
	case u.Bot:
		return nil, refuse("cannot_dm_bot")
	}
	return obj{"channel": s.wireChannel(s.direct(u.ID))}, nil
}

func (s *Sim) userInfo(c *call) (obj, error) {
	u, ok := s.user(c.str("user"))
	if !ok {
		return nil, refuse("user_not_found")
	}
	return obj{"user": wireUser(u)}, nil
}

func (s *Sim) userList(c *call) (obj, error) {
	var all []any
	for _, u := range s.users {
		all = append(all, wireUser(u))
	}
	return page(c, "members", all)
}

func wireUser(u User) obj {
	return obj{
		"id": u.ID, "team_id": u.team(), "name": u.Name, "real_name": u.RealName, "deleted": u.Deleted,
		"is_bot": u.Bot, "is_app_user": false, "is_admin": false, "is_owner": false,
		"is_restricted": u.Restricted || u.UltraRestricted, "is_ultra_restricted": u.UltraRestricted, "is_stranger": u.Stranger,
		"tz": "Etc/UTC", "tz_label": "UTC", "tz_offset": 0,
		"profile": obj{
			"real_name": u.RealName, "real_name_normalized": u.RealName,
			"display_name": u.Name, "display_name_normalized": u.Name, "team": u.team(),
		},
	}
}

func (s *Sim) groupList(c *call) (obj, error) {
	out := []any{}
	for _, g := range s.groups {
		w := obj{
			"id": g.ID, "team_id": TeamID, "is_usergroup": true, "name": g.Name, "handle": g.Handle,
			"description": "", "is_external": false, "date_delete": 0, "user_count": len(g.Users),
		}
		if c.truth("include_users") {
			w["users"] = append([]string{}, g.Users...)
		}
		out = append(out, w)
	}
	return obj{"usergroups": out}, nil
}

func (s *Sim) groupUsers(c *call) (obj, error) {
	for _, g := range s.groups {
		if g.ID == c.str("usergroup") {
			return obj{"users": append([]string{}, g.Users...)}, nil
		}
	}
	return nil, refuse("no_such_subteam")
}
