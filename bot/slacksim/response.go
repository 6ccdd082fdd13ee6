package slacksim

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// reply is what an app posts to a response URL.
type reply struct {
	Text            string          `json:"text"`
	ResponseType    string          `json:"response_type"`
	ReplaceOriginal bool            `json:"replace_original"`
	DeleteOriginal  bool            `json:"delete_original"`
	ThreadTS        string          `json:"thread_ts"`
	Blocks          json.RawMessage `json:"blocks"`
	Metadata        *Metadata       `json:"metadata"`
}

func (s *Sim) serveResponseURL(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var rep reply
	if err == nil {
		err = json.Unmarshal(body, &rep)
	}
	s.mu.Lock()
	status, code := http.StatusOK, ""
	switch {
	case s.faults.outage:
		status, code = http.StatusInternalServerError, "internal_error"
	case err != nil:
		status, code = http.StatusBadRequest, "invalid_payload"
	default:
		status, code = s.respond(r.PathValue("id"), rep)
	}
	s.calls["response_url"] = append(s.calls["response_url"], Call{Method: "response_url", At: time.Now(), Args: obj{"body": string(body)}, Error: code, Status: status})
	s.touch()
	s.mu.Unlock()
	if code != "" {
		writeJSON(w, status, obj{"ok": false, "error": code})
		return
	}
	writeJSON(w, status, obj{"ok": true})
}

// respond applies a reply. s.mu is held.
func (s *Sim) respond(id string, rep reply) (status int, code string) {
	u := s.responses[id]
	switch {
	case u == nil || time.Since(u.at) > responseLife:
		return http.StatusNotFound, "expired_url"
	case u.uses >= maxResponses:
		return http.StatusNotFound, "used_url"
	}
	var blocks []Block
	if len(rep.Blocks) > 0 && string(rep.Blocks) != "null" {
		var raw any
		_ = json.Unmarshal(rep.Blocks, &raw) // the body was valid JSON as a whole
		var err error
		if blocks, err = checkMessageBlocks(raw); err != nil {
			return http.StatusBadRequest, err.Error()
		}
	}
	if rep.Text == "" && len(blocks) == 0 && !rep.DeleteOriginal {
		return http.StatusBadRequest, "no_text"
	}
	u.uses++
	if rep.Metadata != nil && rep.Metadata.EventType == "" {
		rep.Metadata = nil
	}
	s.applyReply(u, rep, blocks)
	return http.StatusOK, ""
}

func (s *Sim) applyReply(u *responseURL, rep reply, blocks []Block) {
	if u.ts != "" && (rep.DeleteOriginal || rep.ReplaceOriginal) {
		if m := s.findAny(u.channel, u.ts, u.user); m != nil {
			if rep.DeleteOriginal {
				s.remove(m)
			} else {
				s.edit(m, rep.Text, blocks, rep.Metadata)
			}
			return
		}
	}
	if rep.DeleteOriginal {
		return
	}
	m := &Message{Channel: u.channel, User: BotUser, Bot: true, Text: rep.Text, Blocks: blocks, Metadata: rep.Metadata, To: u.user}
	if rep.ThreadTS != "" {
		m.ThreadTS, _ = s.threadOf(u.channel, rep.ThreadTS)
	}
	if rep.ResponseType == "in_channel" {
		m.To = ""
	}
	s.post(m)
}
