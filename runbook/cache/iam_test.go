package cache

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

// tickingClock moves on by a second whenever it is asked. Two tokens of one
// second are the same text, so that only this shows whether one was kept.
type tickingClock struct {
	runbook.SystemClock
	mu  sync.Mutex
	now time.Time
}

// Now moves the clock on.
func (c *tickingClock) Now() time.Time { return c.jump(time.Second) }

func (c *tickingClock) jump(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// present reads the clock without moving it.
func (c *tickingClock) present() time.Time { return c.jump(0) }

// roleKeys are the credentials of a role: a new set whenever a test says so.
type roleKeys struct {
	mu   sync.Mutex
	keys aws.Credentials
	err  error
}

// Retrieve returns the present set.
func (r *roleKeys) Retrieve(context.Context) (aws.Credentials, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys, r.err
}

func (r *roleKeys) renew(keys aws.Credentials, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.err = keys, err
}

// overheard is what go-redis would print.
type overheard struct {
	mu   sync.Mutex
	text strings.Builder
}

// Printf keeps a line.
func (o *overheard) Printf(_ context.Context, format string, v ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(&o.text, format+"\n", v...)
}

func (o *overheard) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Every connection authenticates with a token of its own, signed at that moment
// by the keys that the role has then: a token is good for 15 minutes and the
// bot runs for weeks. No token is seen anywhere.
func TestEveryConnectionSignsItsToken(t *testing.T) {
	clock := &tickingClock{now: time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)}
	d := openDoor(t, clock)
	d.secrets["ASIAFIRST"], d.secrets["ASIASECOND"] = "verysecret-1", "verysecret-2"
	role := &roleKeys{keys: aws.Credentials{AccessKeyID: "ASIAFIRST", SecretAccessKey: "verysecret-1", SessionToken: "session-1"}}
	e := &elastiCache{serve: func(url.Values) (int, string) { return 200, standaloneXML(d.addr, true) }}
	cfg := e.config(t)
	cfg.Credentials = role
	s := newStore(t, Settings{ReplicationGroup: "OIDC", Auth: AuthIAM, Username: "jwksbot", AWS: cfg, RootCAs: d.roots, Clock: clock})
	said := &overheard{}
	redis.SetLogger(said)
	t.Cleanup(logging.Disable)
	ctx := testContext(t)
	var problems []string
	list := func() error {
		listed, err := listAll(ctx, s)
		if err != nil {
			problems = append(problems, err.Error())
		} else if len(listed.Entries) != 1 {
			t.Errorf("listing = %+v", listed)
		}
		return err
	}

	if err := list(); err != nil {
		t.Fatal(err)
	}
	first := d.newTokens(t, 1)[0]
	if err := list(); err != nil { // on the connection that is there
		t.Fatal(err)
	}
	d.newTokens(t, 0)

	clock.jump(16 * time.Minute)
	role.renew(aws.Credentials{AccessKeyID: "ASIASECOND", SecretAccessKey: "verysecret-2", SessionToken: "session-2"}, nil)
	d.cut()
	if err := list(); err != nil {
		t.Fatalf("after the first connection was cut: %v", err)
	}
	second := d.newTokens(t, 1)[0]
	if first.key != "ASIAFIRST" || second.key != "ASIASECOND" || second.at.Sub(first.at) < 16*time.Minute || second.text == first.text {
		t.Errorf("the second token is of %v by %s, the first of %v by %s", second.at, second.key, first.at, first.key)
	}
	if err := d.judge("jwksbot", first.text); err == nil {
		t.Error("the first token would have been accepted again: the test shows nothing")
	}

	d.cut()
	d.awaitCrowd(2)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, err := listAll(ctx, s); err != nil {
				t.Errorf("two at once: %v", err)
			}
		})
	}
	both.Wait()
	if two := d.newTokens(t, 2); two[0].text == two[1].text {
		t.Error("two connections share a token")
	}

	// The role is no longer allowed to connect, and then has no keys at all.
	delete(d.secrets, "ASIASECOND")
	d.cut()
	checkError(t, list(), d.addr, "elasticache:Connect")
	role.renew(aws.Credentials{}, errors.New("no EC2 IMDS role found"))
	d.cut()
	checkError(t, list(), d.addr, "AWS credentials", "no EC2 IMDS role found")

	entered, refused := d.tokens()
	if len(refused) < 2 {
		t.Errorf("%d tokens refused", len(refused))
	}
	for _, tok := range append(entered, refused...) {
		for _, text := range append(problems, said.String(), fmt.Sprintf("%+v", s.settings)) {
			_, sign, _ := strings.Cut(tok.text, "X-Amz-Signature=")
			if strings.Contains(text, sign) || strings.Contains(text, tok.text) {
				t.Errorf("a token is seen in %q", text)
			}
		}
	}
}

func TestIAMToken(t *testing.T) {
	cfg := (&elastiCache{}).config(t)
	for _, c := range []struct {
		settings Settings
		host     string
		resource string
	}{
		{Settings{ReplicationGroup: "Prod-OIDC"}, "prod-oidc", ""},
		{Settings{Serverless: "prod"}, "prod", "ServerlessCache"},
	} {
		c.settings.Auth, c.settings.Username, c.settings.AWS = AuthIAM, "jwksbot", cfg
		s := newStore(t, c.settings)
		user, token, err := s.credentials(testContext(t))
		if err != nil || user != "jwksbot" {
			t.Fatalf("user %q, error %v", user, err)
		}
		host, query, _ := strings.Cut(token, "/?")
		q, err := url.ParseQuery(query)
		if err != nil || host != c.host {
			t.Errorf("token for host %q, want %q (%v)", host, c.host, err)
		}
		want := map[string]string{"Action": "connect", "User": "jwksbot", "X-Amz-Expires": "900", "ResourceType": c.resource, "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-SignedHeaders": "host"}
		for k, v := range want {
			if q.Get(k) != v {
				t.Errorf("%s = %q, want %q", k, q.Get(k), v)
			}
		}
		if !strings.Contains(q.Get("X-Amz-Credential"), "/eu-west-2/elasticache/aws4_request") || len(q.Get("X-Amz-Signature")) != 64 {
			t.Errorf("credential %q, signature %q", q.Get("X-Amz-Credential"), q.Get("X-Amz-Signature"))
		}
	}
}

// The token is what the connection authenticates with, over TLS.
func TestIAMOverTheWire(t *testing.T) {
	now := time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)
	r := redistest.Start(t, redistest.Options{TLS: true, User: "jwksbot", Password: "other", Rules: "~jwks:* -@all +@read"})
	e := &elastiCache{serve: func(url.Values) (int, string) { return 200, standaloneXML(r.Addr, true) }}
	s := newStore(t, Settings{ReplicationGroup: "oidc", Auth: AuthIAM, Username: "jwksbot", AWS: e.config(t), RootCAs: r.RootCAs, Clock: fixedClock{now: now}})
	_, err := listAll(testContext(t), s)
	checkError(t, err, "elasticache:Connect")
	_, token, err := s.credentials(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	r.CLI(t, "acl", "setuser", "jwksbot", ">"+token)
	if _, err := listAll(testContext(t), s); err != nil {
		t.Error(err)
	}
}

type fixedClock struct {
	runbook.SystemClock
	now time.Time
}

func (c fixedClock) Now() time.Time { return c.now }
