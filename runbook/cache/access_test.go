package cache

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

// ruleOf is the rule that a user of the bot is given, as ACL SETUSER takes it.
func ruleOf(s Settings) string {
	if s.Patterns == nil {
		s.Patterns = []string{"jwks:*"}
	}
	return strings.TrimPrefix(s.Access(), "on ")
}

func TestTheRuleFollowsTheSettings(t *testing.T) {
	const reads = "+cluster|slots +asking +scan +dbsize "
	for name, c := range map[string]struct {
		settings     Settings
		begins, ends string
	}{
		"usual":     {Settings{Patterns: []string{"jwks:*", "a b"}}, "on ~jwks:* ~a?b -@all " + reads, " +eval +evalsha +unlink +restore"},
		"flush all": {Settings{Patterns: []string{"jwks:*"}, FlushAll: true}, "on ~jwks:* -@all " + reads, " +unlink +restore +flushall"},
		"database":  {Settings{Patterns: []string{"jwks:*"}, URL: "redis://h/3"}, "on ~jwks:* -@all +cluster|slots +asking +select +scan ", " +restore"},
	} {
		if rule := c.settings.Access(); !strings.HasPrefix(rule, c.begins) || !strings.HasSuffix(rule, c.ends) {
			t.Errorf("%s: %s", name, rule)
		}
	}
}

// A user with exactly the printed rule can do all that a Store does, and the
// server counts every command of the rule: none is missing, none is a gift.
func TestTheRuleIsWhatIsSent(t *testing.T) {
	settings := Settings{Patterns: []string{"jwks:*"}, URL: "redis://h/1", FlushAll: true}
	r := redistest.Start(t, redistest.Options{User: "jwksbot", Password: "geheim", Rules: ruleOf(settings)})
	user, password := r.Admin()
	admin := redis.NewClient(&redis.Options{Addr: r.Addr, Username: user, Password: password, DB: 1})
	t.Cleanup(func() { admin.Close() })
	names := plant(t, admin)
	settings.URL, settings.Username, settings.Password = "redis://"+r.Addr+"/1", "jwksbot", "geheim"
	s := newStore(t, settings)
	r.CLI(t, "config", "resetstat")

	ctx := testContext(t)
	listed, err := listAll(ctx, s)
	if err != nil || len(listed.Entries) != len(names) {
		t.Fatalf("listed %d entries: %v", len(listed.Entries), err)
	}
	saved, err := s.Snapshot(ctx, names)
	if err != nil {
		t.Fatal(err)
	}
	fates := map[runbook.Fate]int{}
	if err := s.Delete(ctx, saved, nil, tally(t, fates)); err != nil || fates[runbook.FateDeleted] != len(names) {
		t.Fatalf("%v, %v", fates, err)
	}
	for _, force := range []bool{false, true} {
		if _, err := s.Restore(ctx, saved, force, s.settings.Clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Purge(ctx, nil, nil, nil); err != nil || n != int64(len(names)) {
		t.Fatalf("purged %d: %v", n, err)
	}
	if err := s.FlushAll(ctx); err != nil {
		t.Fatal(err)
	}

	var sent []string
	for _, m := range regexp.MustCompile(`cmdstat_(\S+?):calls`).FindAllStringSubmatch(r.CLI(t, "info", "commandstats"), -1) {
		sent = append(sent, m[1])
	}
	for _, c := range commands {
		if c.name != "asking" && !slices.Contains(sent, c.name) { // see TestReshardingInProgress
			t.Errorf("%s is in the rule and was never sent", c.name)
		}
	}
	for _, name := range sent {
		known := slices.ContainsFunc(commands, func(c struct {
			name   string
			needed func(Settings) bool
		}) bool {
			return c.name == name
		})
		if !known && !slices.Contains([]string{"hello", "auth", "config|resetstat", "info"}, name) {
			t.Errorf("%s was sent and is not in the rule", name)
		}
	}
}

// What a user may not do is refused for certain: no retry, and the error says
// that nothing was changed. What was done in part is no such refusal.
func TestARefusalIsCertain(t *testing.T) {
	rule := ruleOf(Settings{})
	for name, c := range map[string]struct {
		rules string
		args  []string
		does  func(*Store, []runbook.Saved) error
		says  string
	}{
		"no FLUSHALL": {rule, nil, func(s *Store, _ []runbook.Saved) error { return s.FlushAll(t.Context()) }, "add +flushall"},
		"no UNLINK": {strings.Replace(rule, "+unlink ", "", 1), nil, func(s *Store, _ []runbook.Saved) error {
			_, err := s.Purge(t.Context(), nil, nil, nil)
			return err
		}, "UNLINK"},
		"no UNLINK in a script": {strings.Replace(rule, "+unlink ", "", 1), nil, func(s *Store, saved []runbook.Saved) error {
			return s.Delete(t.Context(), saved, nil, nil)
		}, "jwksbot iam-policy"},
		"FLUSHALL is renamed": {rule + " +flushall", []string{"--rename-command", "FLUSHALL", ""}, func(s *Store, _ []runbook.Saved) error { return s.FlushAll(t.Context()) }, "rename-commands"},
		"no RESTORE": {strings.Replace(rule, " +restore", "", 1), nil, func(s *Store, saved []runbook.Saved) error {
			_, err := s.Restore(t.Context(), saved, true, s.settings.Clock.Now())
			return err
		}, "RESTORE"},
	} {
		t.Run(name, func(t *testing.T) {
			r := redistest.Start(t, redistest.Options{User: "jwksbot", Password: "geheim", Rules: strings.ReplaceAll(c.rules, " +flushall", ""), Args: c.args})
			if strings.Contains(c.rules, "+flushall") && c.args == nil {
				t.Fatal("no such rule")
			}
			r.CLI(t, "set", "jwks:1", "old")
			s := newStore(t, Settings{URL: "redis://" + r.Addr, Username: "jwksbot", Password: "geheim"})
			saved, err := s.Snapshot(testContext(t), []string{"jwks:1"})
			if err != nil {
				t.Fatal(err)
			}
			err = c.does(s, saved)
			checkError(t, err, r.Addr, c.says)
			if !runbook.IsDenied(err) {
				t.Errorf("not told as certain: %v", err)
			}
			if got := r.CLI(t, "get", "jwks:1"); got != "old" {
				t.Errorf("the entry is %q now", got)
			}
		})
	}
}

// On a cluster whose nodes know different users, a part of a deletion is refused:
// then something was changed.
func TestAPartIsNoRefusal(t *testing.T) {
	nodes := redistest.StartCluster(t, 3, 0)
	for i, n := range nodes {
		rule := ruleOf(Settings{FlushAll: i != 0})
		n.CLI(t, append([]string{"acl", "setuser", "jwksbot", "on", ">geheim"}, strings.Fields(rule)...)...)
	}
	s := newStore(t, Settings{URL: "redis://" + nodes[0].Addr, Username: "jwksbot", Password: "geheim"})
	err := s.FlushAll(testContext(t))
	checkError(t, err, nodes[0].Addr, "+flushall", "a part")
	if runbook.IsDenied(err) {
		t.Errorf("two of three servers were emptied: %v", err)
	}
	for _, n := range nodes {
		n.CLI(t, "acl", "setuser", "jwksbot", "-flushall")
	}
	if err := s.FlushAll(testContext(t)); !runbook.IsDenied(err) {
		t.Errorf("refused everywhere: %v", err)
	}
}
