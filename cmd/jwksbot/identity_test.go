package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestForgedIdentity: somebody lets a server of their own play STS. The process
// that executes asks its own and is not impressed; nothing is decided, the
// attempt is in the trail, and the server was asked nothing by it.
func TestForgedIdentity(t *testing.T) {
	t.Parallel()
	d, _ := newTeam(t, "stale")
	flush := d.start(t, "robin", "production\n", "flush", "production", "--ticket", "INC-1", "--reason", "rotated")
	id := flush.Says(`run (\S+) waits for 1 approval`)[1]

	var asked atomic.Int64
	forger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/lee</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(forger.Close)
	honest := d.env
	d.env = append(append([]string{}, honest...), "AWS_ENDPOINT_URL_STS="+forger.URL)
	_, refused := d.run(t, exitFinding, "stranger", "", "approve", id)
	contains(t, refused, "could not be proven", "AWS_ENDPOINT_URL_STS")
	if asked.Load() > 0 {
		t.Error("the forger's server was asked")
	}
	d.env = honest
	trail, _ := d.run(t, exitOK, "robin", "", "audit", "list", "--kind", "refused")
	contains(t, trail, "approve of run "+id, "could not be proven")

	d.run(t, exitOK, "lee", "", "approve", id)
	if code := flush.Exit(); code != exitOK {
		t.Errorf("the real approval: exit code %d\n%s", code, flush.Err.String())
	}
}

// TestApproveExecutes: where nobody else executes, the command that approves
// does, and stays until the run has ended.
func TestApproveExecutes(t *testing.T) {
	t.Parallel()
	d, _ := newTeam(t, "stale")
	flush := d.start(t, "robin", "production\n", "flush", "production", "--ticket", "INC-1", "--reason", "rotated")
	id := flush.Says(`run (\S+) waits for 1 approval`)[1]
	flush.Cmd.Process.Kill()
	flush.Exit()
	said, _ := d.run(t, exitOK, "lee", "", "approve", id)
	contains(t, said, "Approved", "Proven")
	if s := d.drill.State(); strings.Join(s.CachedKids, " ") != strings.Join(s.LiveKids, " ") {
		t.Errorf("afterwards the cache holds %v, live are %v", s.CachedKids, s.LiveKids)
	}
}
