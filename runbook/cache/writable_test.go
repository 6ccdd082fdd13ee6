package cache

import (
	"strings"
	"testing"

	"jwksbot/runbook/cache/redistest"
)

func TestWritableAsksWithoutChangingAnything(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	r.CLI(t, "set", "jwks:current", "keys")
	s := newStore(t, Settings{URL: "redis://" + r.Addr})
	if n, err := s.Writable(testContext(t)); err != nil || n != 1 {
		t.Fatalf("%d primaries, %v", n, err)
	}
	if got := r.CLI(t, "get", "jwks:current") + r.CLI(t, "dbsize"); !strings.Contains(got, "keys") || !strings.Contains(got, "1") {
		t.Errorf("something was changed: %q", got)
	}
}

func TestWritableTellsWhatIsMissing(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	for name, c := range map[string]struct {
		rules []string
		says  string
	}{
		"no right to delete":    {[]string{"~jwks:*", "+@all", "-unlink"}, "access string"},
		"no right to the names": {[]string{"~other:*", "+@all"}, "access string"},
		"no right to scripts":   {[]string{"~jwks:*", "+@all", "-@scripting"}, "access string"},
		"everything":            {[]string{"~jwks:*", "+@all", "-@dangerous", "+info"}, ""},
	} {
		user := strings.ReplaceAll(name, " ", "-")
		r.CLI(t, append([]string{"acl", "setuser", user, "on", ">pw"}, c.rules...)...)
		s := newStore(t, Settings{URL: "redis://" + r.Addr, Username: user, Password: "pw"})
		_, err := s.Writable(testContext(t))
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryPrimaryOfAClusterIsAsked(t *testing.T) {
	servers := redistest.StartCluster(t, 3, 0)
	s := newStore(t, Settings{URL: "redis://" + servers[0].Addr + "," + servers[1].Addr})
	if n, err := s.Writable(testContext(t)); err != nil || n != 3 {
		t.Errorf("%d primaries, %v", n, err)
	}
}

func TestNobodysNameMatchesItsPattern(t *testing.T) {
	for _, pattern := range []string{"jwks:*", "*:jwks", "a?c:[jk]wks*", "*[^x]y*"} {
		name, free, err := nobodysName(pattern)
		if err != nil || !free || !globMatch(pattern, name) {
			t.Errorf("%q does not match %q (%v, %v)", name, pattern, free, err)
		}
	}
	if name, free, _ := nobodysName("exact"); free {
		t.Errorf("%q is somebody's", name)
	}
}
