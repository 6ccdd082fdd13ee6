package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook/cache"
	"jwksbot/runbook/cache/redistest"
)

// What Redis refuses for certain is told as that: nothing was deleted, at once,
// without a second try, and nobody is paged. The doctor had said so before.
func TestAFlushThatIsRefused(t *testing.T) {
	t.Parallel()
	whole := cache.Settings{Patterns: []string{"jwks:*"}, FlushAll: true}.Access()
	for name, c := range map[string]struct {
		rule    string
		more    []string // of the request
		doctor  string
		refused string
		counted string // by the server, of what was refused
	}{
		"no FLUSHALL": {strings.ReplaceAll(whole, " +flushall", " +acl|dryrun"), []string{"--scope", "all", "--override", "rehearsal"},
			"the user may not run +flushall", "add +flushall to its rule", "cmdstat_flushall:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,"},
		"no UNLINK": {strings.ReplaceAll(whole, " +unlink", ""), nil,
			"the user may not run +unlink", "the user may not do this", "cmdstat_unlink:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pages atomic.Int32
			pager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				pages.Add(1)
				w.WriteHeader(http.StatusAccepted)
				fmt.Fprint(w, `{"status":"success"}`)
			}))
			defer pager.Close()
			server := redistest.Start(t, redistest.Options{User: "jwksbot", Password: "correct-horse", Rules: strings.TrimPrefix(c.rule, "on ")})
			d, _ := newTeam(t, "stale")
			own := redis.NewClient(&redis.Options{Addr: d.drill.RedisAddr()})
			defer own.Close()
			server.CLI(t, "set", "jwks:current", own.Get(t.Context(), d.drill.KeyName()).Val())
			d.write(t, "cache: {", `escalation: {pagerduty_key: 0123456789abcdef0123456789abcdef, pagerduty_url: "`+pager.URL+`"}
    cache: {auth: password, username: jwksbot, password: correct-horse, allow_flush_all: true, `, "replication_group: drill-oidc-cache", `url: "redis://`+server.Addr+`"`)

			sick, _ := d.run(t, exitFinding, "robin", "", "doctor")
			contains(t, sick, c.doctor, "jwksbot iam-policy")

			server.CLI(t, "config", "resetstat")
			flush := d.start(t, "robin", "production\n", append([]string{"flush", "production", "--ticket", "INC-1", "--reason", "rotated"}, c.more...)...)
			id := flush.Says(`run (\S+) waits for 1 approval`)[1]
			d.run(t, exitOK, "lee", "", "approve", id)
			if code := flush.Exit(); code != exitFinding {
				t.Errorf("the flush ends with %d", code)
			}
			said := flush.Out.String()
			contains(t, said, "failed", "Not flushed: nothing was deleted.", c.refused, "Request again (nothing was touched)")
			if strings.Contains(said+flush.Err.String(), "escalate") || pages.Load() != 0 {
				t.Errorf("%d pages, and\n%s", pages.Load(), said)
			}
			if got := server.CLI(t, "info", "commandstats"); !strings.Contains(got, c.counted) {
				t.Errorf("without %q:\n%s", c.counted, got)
			}
			if server.CLI(t, "exists", "jwks:current") != "1" {
				t.Error("the entry is gone")
			}
		})
	}
}

// A URL that names a replica is refused by the check and by the doctor, each with
// the next step.
func TestAReplicaIsRefusedAtTheCheck(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t, redistest.Options{})
	replica := redistest.Start(t, redistest.Options{ReplicaOf: primary})
	d := newWorkplace(t, "stale")
	primary.CLI(t, "set", "jwks:current", `{"keys":[]}`)
	d.write(t, "replication_group: drill-oidc-cache", `url: "redis://`+replica.Addr+`"`)
	got := d.check(t, exitFailed)
	contains(t, got.step("cached-keys"), "error: ", replica.Addr, "replica", "point cache.url at the primary")
	sick, _ := d.run(t, exitFinding, "robin", "", "doctor")
	contains(t, sick, replica.Addr, "point cache.url at the primary")
	_, refused := d.run(t, exitFailed, "robin", "", "flush", "production", "--dry-run")
	contains(t, refused, "point cache.url at the primary")
}
