package redact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsHide(t *testing.T) {
	const value = "hunter2hunter2"
	s := Secret(value)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("connect", "password", s, "settings", struct{ P Secret }{s})
	b, err := json.Marshal(map[string]any{"p": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, struct{ P Secret }{s}, s, s, s), log.String(), string(b)} {
		if strings.Contains(out, value) || !strings.Contains(out, hidden) {
			t.Errorf("got %s", out)
		}
	}
	if s.Reveal() != value || Secret("").String() != "" {
		t.Error("reveal, or the empty secret")
	}
}
