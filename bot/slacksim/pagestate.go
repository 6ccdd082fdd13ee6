package slacksim

import "net/http"

// serveState is everything that one person sees, for the page to draw.
func (s *Sim) serveState(w http.ResponseWriter, r *http.Request) {
	as := r.URL.Query().Get("as")
	s.mu.Lock()
	u, ok := s.user(as)
	if !ok || u.Bot {
		u = s.firstPerson()
	}
	out := obj{
		"version": s.version, "now": s.opt.Clock.Now().UnixMilli(), "workspace": s.opt.Workspace, "note": s.opt.Note, "as": u.ID,
		"bot": BotUser, "system": SystemUser, "panel": s.opt.Panel != nil,
		"commands": append([]CommandHelp{}, s.opt.Commands...), "shortcuts": append([]Shortcut{}, s.opt.Shortcuts...), "connected": len(s.socket.conns) > 0,
		"users": s.pageUsers(), "groups": s.pageGroups(),
		"view": s.pageView(s.top(u.ID)), "home": s.pageView(s.homes[u.ID]), "depth": len(s.stacks[u.ID]),
	}
	out["channels"], out["messages"] = s.pageChannels(u.ID)
	s.mu.Unlock()
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, out)
}

func (s *Sim) firstPerson() User {
	for _, u := range s.users {
		if !u.Bot {
			return u
		}
	}
	return User{}
}

func (s *Sim) pageUsers() []any {
	out := []any{}
	for _, u := range s.users {
		out = append(out, obj{"id": u.ID, "name": u.Name, "real_name": u.RealName, "caption": u.Caption, "bot": u.Bot})
	}
	return out
}

func (s *Sim) pageGroups() []any {
	out := []any{}
	for _, g := range s.groups {
		out = append(out, obj{"id": g.ID, "handle": g.Handle, "users": g.Users})
	}
	return out
}

// pageChannels are the conversations that a person is in, and what they see there.
func (s *Sim) pageChannels(user string) (channels []any, messages obj) {
	channels, messages = []any{}, obj{}
	for _, c := range s.channels {
		if !c.has(user) {
			continue
		}
		channels = append(channels, obj{
			"id": c.ID, "name": c.Name, "topic": c.Topic, "private": c.Private, "shared": c.ExtShared,
			"archived": c.Archived, "im": c.IM != "", "bot": c.has(BotUser), "members": len(c.Members),
		})
		seen := []any{}
		for _, m := range s.messages[c.ID] {
			if m.To == "" || m.To == user {
				seen = append(seen, s.pageMessage(m))
			}
		}
		messages[c.ID] = seen
	}
	return channels, messages
}

func (s *Sim) pageMessage(m *Message) obj {
	files := []any{}
	for _, id := range m.Files {
		if f := s.files[id]; f != nil {
			files = append(files, obj{"id": id, "name": f.Name, "title": f.Title, "alt": f.AltText, "size": len(f.Bytes), "picture": isPicture(f.Bytes)})
		}
	}
	blocks := m.Blocks
	if blocks == nil {
		blocks = []Block{}
	}
	reactions := append([]string{}, m.Reactions...)
	return obj{
		"ts": m.TS, "thread_ts": m.ThreadTS, "reply": m.InThread(), "user": m.User, "bot": m.Bot, "text": m.Text, "blocks": blocks,
		"edits": m.Edits, "replies": m.Replies, "private": m.To != "", "files": files, "reactions": reactions,
	}
}

func (s *Sim) pageView(v *View) any {
	if v == nil {
		return nil
	}
	out := s.wireView(v)
	return obj{
		"id": v.ID, "hash": v.Hash, "title": v.Title, "submit": v.Submit, "close": v.CloseLabel, "blocks": v.Blocks,
		"values": out["state"].(obj)["values"], "errors": v.Errors, "trouble": v.Trouble,
	}
}
