package cache

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

// The question changes nothing, whatever the answer: no FLUSHALL in any form, and
// no command that changes something on a name that a pattern matches.
func TestWritableAsksWithoutChangingAnything(t *testing.T) {
	rule := ruleOf(Settings{FlushAll: true})
	for name, c := range map[string]struct {
		more     string
		untested []string
	}{
		"dry run": {" +acl|dryrun", nil},
		"without": {"", []string{"flushall", "restore"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := redistest.Start(t, redistest.Options{User: "jwksbot", Password: "pw", Rules: rule + c.more})
			r.CLI(t, "set", "jwks:current", "keys")
			r.CLI(t, "config", "resetstat")
			s := newStore(t, Settings{URL: "redis://" + r.Addr, Username: "jwksbot", Password: "pw", FlushAll: true})
			got, err := s.Writable(testContext(t))
			if err != nil || got.Primaries != 1 || !slices.Equal(got.Untested, c.untested) {
				t.Fatalf("%+v, %v", got, err)
			}
			stats := r.CLI(t, "info", "commandstats")
			if regexp.MustCompile(`cmdstat_(flushall|flushdb|restore|set)`).MatchString(stats) {
				t.Errorf("sent: %s", stats)
			}
			if c.untested == nil && strings.Contains(stats, "cmdstat_unlink") {
				t.Errorf("sent beside a dry run: %s", stats)
			}
			if got := r.CLI(t, "get", "jwks:current") + r.CLI(t, "dbsize"); got != "keys1" {
				t.Errorf("something was changed: %q", got)
			}
		})
	}
}

func TestWritableTellsWhatIsMissing(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	for name, c := range map[string]struct {
		rules []string
		says  string
	}{
		"no right to delete":           {[]string{"~jwks:*", "+@all", "-unlink"}, "may not run +unlink"},
		"no right to delete, unasked":  {[]string{"~jwks:*", "+@all", "-unlink", "-acl"}, "may not run +unlink"},
		"no right to the names":        {[]string{"~other:*", "+@all"}, `may not change names of "jwks:*"`},
		"no right to them, unasked":    {[]string{"~other:*", "+@all", "-acl"}, `may not touch names of "jwks:*"`},
		"no right to scripts":          {[]string{"~jwks:*", "+@all", "-@scripting"}, "may not run +eval"},
		"no right to scripts, unasked": {[]string{"~jwks:*", "+@all", "-@scripting", "-acl"}, "may not run +eval"},
		"no right to undo":             {[]string{"~jwks:*", "+@all", "-restore"}, "may not run +restore"},
		"no right to flush":            {[]string{"~jwks:*", "+@all", "-flushall"}, "may not run +flushall"},
		"only for reading":             {[]string{"%R~jwks:*", "+@all"}, `may not change names of "jwks:*"`},
		"everything":                   {[]string{"~jwks:*", "+@all"}, ""},
		"everything but more":          {[]string{"~jwks:*", "+@all", "-@dangerous", "+flushall"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			user := regexp.MustCompile(`\W+`).ReplaceAllString(name, "-")
			r.CLI(t, append([]string{"acl", "setuser", user, "on", ">pw"}, c.rules...)...)
			s := newStore(t, Settings{URL: "redis://" + r.Addr, Username: user, Password: "pw", FlushAll: true})
			_, err := s.Writable(testContext(t))
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			checkError(t, err, r.Addr, c.says, "iam-policy")
			if !runbook.IsDenied(err) {
				t.Errorf("not certain: %v", err)
			}
		})
	}
}

// A server that cannot be reached is said to be so, and one that knows no ACL is
// asked all the same.
func TestWritableOnOtherServers(t *testing.T) {
	m := miniredis.RunT(t)
	if got, err := newStore(t, Settings{URL: "redis://" + m.Addr()}).Writable(testContext(t)); err != nil || got.Primaries != 1 || !slices.Equal(got.Untested, []string{"restore"}) {
		t.Errorf("%+v, %v", got, err)
	}
	ended := redistest.Start(t, redistest.Options{})
	ended.Stop()
	_, err := newStore(t, Settings{URL: "redis://" + ended.Addr}).Writable(testContext(t))
	checkError(t, err, ended.Addr, "connection refused")
	closed := redistest.Start(t, redistest.Options{User: "jwksbot", Password: "pw", Rules: ruleOf(Settings{})})
	_, err = newStore(t, Settings{URL: "redis://" + closed.Addr, Username: "jwksbot", Password: "falsch"}).Writable(testContext(t))
	checkError(t, err, closed.Addr, "refused")
}

// A replica that a URL names takes no flush and shows what may be old: it is
// refused, with the next step, wherever it is used.
func TestAReplicaIsRefused(t *testing.T) {
	a := redistest.Start(t, redistest.Options{})
	b := redistest.Start(t, redistest.Options{ReplicaOf: a})
	a.CLI(t, "set", "jwks:1", "v")
	redistest.Await(t, "the replica to catch up", func() bool { return b.CLI(t, "dbsize") == "1" })
	s := newStore(t, Settings{URL: "redis://" + b.Addr})
	ctx := testContext(t)
	_, err := s.Writable(ctx)
	for what, err := range map[string]error{
		"list":     second(listAll(ctx, s)),
		"snapshot": second(s.Snapshot(ctx, []string{"jwks:1"})),
		"purge":    second(s.Purge(ctx, nil, nil, nil)),
		"flush":    s.FlushAll(ctx),
		"writable": err,
	} {
		checkError(t, err, b.Addr, "replica", "point cache.url at the primary")
		if !runbook.IsDenied(err) {
			t.Errorf("%s: not certain: %v", what, err)
		}
	}
	if got := a.CLI(t, "get", "jwks:1"); got != "v" {
		t.Errorf("the entry is %q now", got)
	}
}

func second[T any](_ T, err error) error { return err }

func TestEveryPrimaryOfAClusterIsAsked(t *testing.T) {
	servers := redistest.StartCluster(t, 3, 0)
	for _, n := range servers {
		n.CLI(t, append([]string{"acl", "setuser", "jwksbot", "on", ">pw"}, strings.Fields(ruleOf(Settings{}))...)...)
	}
	url := "redis://" + servers[0].Addr + "," + servers[1].Addr
	for _, s := range []Settings{{URL: url}, {URL: url, Username: "jwksbot", Password: "pw"}} {
		if got, err := newStore(t, s).Writable(testContext(t)); err != nil || got.Primaries != 3 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	servers[2].CLI(t, "acl", "setuser", "jwksbot", "-unlink")
	_, err := newStore(t, Settings{URL: url, Username: "jwksbot", Password: "pw"}).Writable(testContext(t))
	checkError(t, err, servers[2].Addr, "may not run +unlink")
}

func TestSampleNamesMatchTheirPattern(t *testing.T) {
	for _, pattern := range []string{"jwks:*", "*:jwks", "a?c:[jk]wks*", "*[^x]y*", "exact"} {
		if name := sampleName(pattern); !globMatch(pattern, name) {
			t.Errorf("%q does not match %q", name, pattern)
		}
	}
	s := newStore(t, Settings{URL: "redis://h", Patterns: []string{"*d*"}})
	if _, err := s.nobody(); err == nil {
		t.Error("a name was found that every pattern matches")
	}
	s = newStore(t, Settings{URL: "redis://h", Patterns: []string{"[A-M]*", "jwks:*"}})
	name, err := s.nobody()
	if err != nil || globMatch("[A-M]*", name) {
		t.Errorf("%q, %v", name, err)
	}
}
