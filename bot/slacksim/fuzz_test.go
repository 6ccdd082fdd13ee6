package slacksim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"jwksbot/bot/slacksim"
)

// Whatever an app sends as blocks or view, the workspace answers with JSON, and
// what it took can be shown: to people, and in a transcript.
func FuzzBlocks(f *testing.F) {
	for _, seed := range []string{
		`[{"type":"section","text":{"type":"mrkdwn","text":"<!channel> <@U0LEAD|x>"},"accessory":{"type":"button"}}]`,
		`[{"type":"actions","elements":[{"type":"overflow","options":[null]},null,3]}]`,
		`[{"type":"rich_text","elements":[null,{"type":"rich_text_list","elements":[{"elements":[{"type":"user"}]}]}]}]`,
		`[{"type":"table","rows":[[{"type":"rich_text"}],null]}]`,
		`[{"type":"input","label":{"type":"plain_text","text":"x"},"element":{"type":"checkboxes","initial_options":[1]}}]`,
		`{"type":"modal","title":{"type":"plain_text","text":"x"},"blocks":[]}`,
		`[[]]`, `null`, `"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		sim := slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})
		for _, call := range []url.Values{
			{"method": {"chat.postMessage"}, "channel": {bridge}, "text": {"x"}, "blocks": {data}},
			{"method": {"chat.postMessage"}, "channel": {bridge}, "text": {data}, "metadata": {data}},
			{"method": {"views.publish"}, "user_id": {"U0LEAD"}, "view": {`{"type":"home","blocks":` + data + `}`}},
			{"method": {"views.publish"}, "user_id": {"U0LEAD"}, "view": {data}},
		} {
			call.Set("token", "xoxb-demo-bot")
			answered(t, sim, "POST", "/api/"+call.Get("method"), call.Encode())
		}
		answered(t, sim, "GET", "/ui/state?as=U0LEAD", "")
		_ = sim.Transcript()
		_ = sim.Mentions(bridge)
	})
}

func answered(t *testing.T, sim *slacksim.Sim, method, target, body string) {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, r)
	if w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%s answered %d %q", target, w.Code, w.Body)
	}
}
