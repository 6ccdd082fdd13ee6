package cache

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook/cache/redistest"
)

// Patterns decide like Redis itself does.
func TestGlobAgreesWithRedis(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	ctx := testContext(t)
	raw := redis.NewClient(&redis.Options{Addr: r.Addr})
	random := rand.New(rand.NewPCG(1, 2))
	text := func(alphabet string, most int) string {
		var b strings.Builder
		for range 1 + random.IntN(most) {
			b.WriteByte(alphabet[random.IntN(len(alphabet))])
		}
		return b.String()
	}
	var names []string
	pipe := raw.Pipeline()
	for range 300 {
		n := text(`abc:]-^\*`, 6)
		names = append(names, n)
		pipe.Set(ctx, n, "", 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		pattern := text(`abc:**?[]^-\`, 8)
		matched, err := raw.Keys(ctx, pattern).Result()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for _, n := range matched {
			want[n] = true
		}
		for _, n := range names {
			if got := globMatch(pattern, n); got != want[n] {
				t.Fatalf("globMatch(%q, %q) = %v, Redis says %v", pattern, n, got, want[n])
			}
			if m := newMatcher([]string{pattern, pattern}); want[n] && !globMatch(m.scan, n) {
				t.Fatalf("%q matches %q, but the scan for %q misses it", pattern, n, m.scan)
			}
		}
	}
}

func TestSlotOf(t *testing.T) {
	for key, want := range map[string]int{
		"123456789":            0x31C3, // the specification's example
		"{user1000}.following": slotOf("user1000"),
		"foo{}{bar}":           8363, // an empty first pair does not count
		"foo{{bar}}zap":        slotOf("{bar"),
		"foo{bar}{zap}":        slotOf("bar"),
		"":                     0,
	} {
		if got := slotOf(key); got != want {
			t.Errorf("slotOf(%q) = %d, want %d", key, got, want)
		}
	}
}

func FuzzGlobMatch(f *testing.F) {
	f.Add("jwks:*", "jwks:1")
	f.Add("[^a-", "b")
	f.Add(`\`, `\`)
	f.Add("*a*a*a*a*b", strings.Repeat("a", 50))
	f.Fuzz(func(t *testing.T, pattern, name string) {
		globMatch(pattern, name)
		m := newMatcher([]string{pattern, "x" + pattern})
		for _, n := range m.keep([]string{name}) {
			if !globMatch(m.scan, n) {
				t.Errorf("%q is kept, but %q would not find it", n, m.scan)
			}
		}
	})
}

func FuzzParseURL(f *testing.F) {
	f.Add("redis://user:secret@host:6379,other/0")
	f.Add("rediss://[::1]:1")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseURL(text)
		if err == nil && (len(a.hosts) == 0 || strings.ContainsAny(strings.Join(a.hosts, ""), "@ ")) {
			t.Errorf("%q: hosts %q", text, a.hosts)
		}
	})
}

// A pattern of the configuration names bytes as they are shown to people.
func TestBytePatterns(t *testing.T) {
	for text, want := range map[string]string{
		`jwks:*`:                 "jwks:*",
		`\xac\xed\x00\x05t\x00*`: "\xac\xed\x00\x05t\x00*",
		`\x2a`:                   `\*`, // a star that is meant
		`\xzz`:                   `\xzz`,
		`\x4`:                    `\x4`,
		`a\\xac`:                 `a\\xac`,
		`\[\xff\]`:               "\\[\xff\\]",
		`[\xac-\xad]`:            "[\xac-\xad]",
	} {
		if got := bytePatterns([]string{text})[0]; got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	m := newMatcher(bytePatterns([]string{`\xac\xed*`, `jwks:*`}))
	if !m.matches("\xac\xed\x00\x05t") || !m.matches("jwks:1") || m.matches("xac") {
		t.Error("the patterns match something else")
	}
}
