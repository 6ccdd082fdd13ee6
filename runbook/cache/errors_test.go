package cache

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

// Every failure names the server and what to do, and no secret.
func TestErrorsSayWhatToDo(t *testing.T) {
	plain := redistest.Start(t, redistest.Options{})
	encrypted := redistest.Start(t, redistest.Options{TLS: true, User: "jwksbot", Password: "geheim", Rules: "~jwks:* -@all +@read"})
	strangers := x509.NewCertPool()
	silent := silentServer(t)
	ended := redistest.Start(t, redistest.Options{})
	ended.Stop()
	for _, c := range []struct {
		name     string
		settings Settings
		want     []string
	}{
		{"refused", Settings{URL: "redis://" + ended.Addr}, []string{ended.Addr, "connection refused", "security group"}},
		{"no such host", Settings{URL: "redis://cache.invalid:6379"}, []string{"cache.invalid", "VPC"}},
		{"silent", Settings{URL: "redis://" + silent}, []string{silent, "no answer in time"}},
		{"no TLS there", Settings{URL: "rediss://" + plain.Addr}, []string{plain.Addr}},
		{"TLS wanted", Settings{URL: "redis://" + encrypted.Addr}, []string{encrypted.Addr, "rediss://"}},
		{"unknown authority", Settings{URL: "rediss://" + encrypted.Addr, RootCAs: strangers}, []string{"unknown authority", "AWS_CA_BUNDLE"}},
		{"wrong password", Settings{URL: "rediss://jwksbot:falsch@" + encrypted.Addr, RootCAs: encrypted.RootCAs}, []string{"refused", "cache.username"}},
		{"no password", Settings{URL: "rediss://" + encrypted.Addr, RootCAs: encrypted.RootCAs}, []string{"authentication does not fit", "cache.auth"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := listAll(ctx, newStore(t, c.settings))
			checkError(t, err, c.want...)
		})
	}
}

func checkError(t testing.TB, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not contain %q", err, w)
		}
	}
	for _, secret := range []string{"geheim", "falsch", "X-Amz", "verysecret", "failed to"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q contains %q", err, secret)
		}
	}
}

// A server that does not know a command repeats what it was sent. Neither a
// password nor a value is passed on with it.
func TestUnknownCommandHidesItsArguments(t *testing.T) {
	without := func(commands ...string) *redistest.Server {
		var args []string
		for _, c := range commands {
			args = append(args, "--rename-command", c, "")
		}
		return redistest.Start(t, redistest.Options{Args: args})
	}
	r := without("AUTH", "HELLO")
	for _, user := range []string{"jwksbot:geheim", ":geheim"} {
		_, err := listAll(testContext(t), newStore(t, Settings{URL: "redis://" + user + "@" + r.Addr}))
		checkError(t, err, r.Addr, "unknown command 'auth'", "rename-commands")
	}
	r = without("EVAL")
	_, err := newStore(t, Settings{URL: "redis://" + r.Addr}).Snapshot(testContext(t), []string{"jwks:1"})
	checkError(t, err, r.Addr, "EVAL", "unknown command 'eval': it is renamed or switched off here")
	r = without("RESTORE")
	saved := []runbook.Saved{{RawEntry: runbook.RawEntry{Name: "jwks:1", TTL: runbook.NoExpiry}, Payload: []byte("geheim")}}
	_, err = newStore(t, Settings{URL: "redis://" + r.Addr}).Restore(testContext(t), saved, false, time.Now())
	checkError(t, err, r.Addr, "RESTORE", "unknown command 'restore': it is renamed or switched off here")
}

// silentServer accepts connections and never answers.
func silentServer(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

// A user with too few rights reads, and is told where the rule for the rest is.
func TestMissingRightsAreNamed(t *testing.T) {
	r := redistest.Start(t, redistest.Options{User: "jwksbot", Password: "geheim", Rules: "~jwks:* -@all +@read"})
	s := newStore(t, Settings{URL: "redis://" + r.Addr, Username: "jwksbot", Password: "geheim"})
	r.CLI(t, "set", "jwks:1", "v")
	r.CLI(t, "set", "other:1", "v")
	ctx := testContext(t)
	listed, err := listAll(ctx, s)
	if err != nil || len(listed.Entries) != 1 || listed.Others != 1 {
		t.Fatalf("a read-only user lists %+v, %v", listed, err)
	}
	_, err = s.Snapshot(ctx, []string{"jwks:1"})
	checkError(t, err, r.Addr, "EVAL", "jwksbot iam-policy")
	_, err = s.Purge(ctx, nil, nil, nil)
	checkError(t, err, r.Addr, "UNLINK", "jwksbot iam-policy")
	checkError(t, s.FlushAll(ctx), r.Addr, "FLUSHALL", "+flushall")

	r.CLI(t, "acl", "setuser", "jwksbot", "+eval", "+evalsha")
	saved, err := s.Snapshot(ctx, []string{"jwks:1"})
	if err != nil {
		t.Fatal(err)
	}
	checkError(t, s.Delete(ctx, saved, nil, nil), r.Addr, "jwksbot iam-policy")
	saved[0].Name = "other:1"
	checkError(t, s.Delete(ctx, saved, nil, nil), r.Addr, "jwksbot iam-policy")
	if n := r.CLI(t, "dbsize"); n != "2" {
		t.Errorf("%s of 2 entries left", n)
	}
}

func TestSettingsAreCheckedTogether(t *testing.T) {
	for _, c := range []struct {
		settings Settings
		want     []string
	}{
		{Settings{}, []string{"exactly one of replication_group", "at least one pattern"}},
		{Settings{URL: "redis://a", ReplicationGroup: "b", Patterns: []string{"*"}}, []string{"not 2", "matches every key"}},
		{Settings{URL: "http://a"}, []string{"redis:// or rediss://"}},
		{Settings{URL: "redis://u:geheim@a:99999"}, []string{`"a:99999" is not host:port`}},
		{Settings{URL: "redis://u:geheim@a:1/x"}, []string{"number of a database"}},
		{Settings{URL: "redis://a,b/1"}, []string{"database 0 only"}},
		{Settings{URL: "redis://"}, []string{"is not host:port"}},
		{Settings{URL: "redis://a", Auth: "kerberos"}, []string{`"kerberos" is none of iam, password, none`}},
		{Settings{URL: "redis://a", Auth: AuthPassword}, []string{"there is no password"}},
		{Settings{URL: "redis://:geheim@a", Auth: AuthNone}, []string{"auth: none, but there is a password"}},
		{Settings{URL: "redis://a", Auth: AuthIAM}, []string{"needs replication_group", "needs username"}},
		{Settings{URL: "redis://a", MaxEntries: -1}, []string{"negative"}},
	} {
		_, err := New(c.settings)
		checkError(t, err, c.want...)
	}
	s := newStore(t, Settings{URL: "rediss://u%40x:p%3A@one,two:7000,[::1]:1"})
	want := "[one:6379 two:7000 [::1]:1] tls=true u@x p:"
	if got := fmt.Sprintf("%v tls=%v %s %s", s.url.hosts, s.url.tls, s.settings.Username, s.settings.Password.Reveal()); got != want {
		t.Errorf("address = %s, want %s", got, want)
	}
	if text := fmt.Sprintf("%+v %#v", s.settings.Password, s.settings.Password); strings.Contains(text, "p:") {
		t.Errorf("password prints as %s", text)
	}
}

func TestClosedStoreSaysSo(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	s := newStore(t, Settings{URL: "redis://" + r.Addr})
	if _, err := listAll(testContext(t), s); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, err := listAll(testContext(t), s)
	checkError(t, err, "cache: closed")
	redistest.Await(t, "the connections to end", func() bool {
		return strings.Count(r.CLI(t, "client", "list"), " addr=") == 1 // redis-cli's own
	})
}
