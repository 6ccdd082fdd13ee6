package standin

import (
	"errors"
	"strings"
	"testing"

	"jwksbot/runbook"
)

// Refused checks the code of a refusal, and that its text says every word.
func Refused(t *testing.T, err error, code string, words ...string) *runbook.Refusal {
	t.Helper()
	var r *runbook.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got error %v, want a refusal %q", err, code)
	}
	if r.Code != code {
		t.Fatalf("refused with %q (%s), want %q", r.Code, r.Text, code)
	}
	for _, w := range words {
		if !strings.Contains(r.Text, w) {
			t.Errorf("refusal %q does not say %q", r.Text, w)
		}
	}
	return r
}
