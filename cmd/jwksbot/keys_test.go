package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"jwksbot/runbook"
)

const oneKey = `{"kty":"OKP","crv":"Ed25519","kid":"k1","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`

// here runs one command line in this process and returns what it said.
func here(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	w := &world{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }}
	code = run(t.Context(), args, w)
	return code, out.String(), errs.String()
}

// A URL is judged as verifiers would judge it: what is wrong with the answer is
// told beside the keys that it holds.
func TestInspectURL(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		status     int
		exit       int
		shape      string
		problem    string // the last one; "": none
	}{
		{"sound", `{"keys":[` + oneKey + `]}`, 200, 0, runbook.ShapeSet, ""},
		{"503 with keys", `{"keys":[` + oneKey + `]}`, 503, 1, runbook.ShapeSet, "it answers HTTP 503 Service Unavailable"},
		{"bare key", oneKey, 200, 1, runbook.ShapeJWK, "its answer is not a key set"},
		{"empty", `{"keys":[]}`, 200, 1, runbook.ShapeSet, runbook.ProblemEmptySet},
		{"page", `<html></html>`, 200, 2, runbook.ShapeUnreadable, "it answers HTTP 200 with a web page"},
		{"missing", `no such page`, 404, 2, runbook.ShapeUnreadable, "it answers HTTP 404 Not Found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			defer srv.Close()
			code, stdout, stderr := here(t, "keys", "inspect", srv.URL, "--json")
			var got runbook.KeySet
			if err := json.Unmarshal([]byte(stdout), &got); err != nil {
				t.Fatalf("%v: %s", err, stdout)
			}
			last := ""
			if len(got.Problems) > 0 {
				last = got.Problems[len(got.Problems)-1]
			}
			if code != tt.exit || got.Shape != tt.shape || !strings.HasPrefix(last, tt.problem) || tt.problem == "" && last != "" || stderr != "" {
				t.Errorf("exit %d, shape %q, problems %q; stderr %q", code, got.Shape, got.Problems, stderr)
			}
		})
	}
}

// Standard input of any length is read in bounded memory, and the answer says
// that it was too much.
func TestInspectTooMuch(t *testing.T) {
	var out bytes.Buffer
	w := &world{stdin: io.LimitReader(endless{}, 1<<40), stdout: &out, stderr: io.Discard, getenv: func(string) string { return "" }}
	if code := run(t.Context(), []string{"keys", "inspect", "-", "--json"}, w); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	var got runbook.KeySet
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || !slices.Equal(got.Problems, []string{"larger than 8 MiB, which no key set is: not read"}) {
		t.Errorf("%v: %s", err, out.String())
	}
}

// endless is an input of blanks.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
