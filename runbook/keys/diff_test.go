package keys

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"jwksbot/runbook"
)

func TestCompare(t *testing.T) {
	m := keyMaterial()
	a, b, other := good("a"), ecKey("b"), rsaKey("a", m.other)
	padded := a.with("n", a[9].(string)+"=")
	for _, c := range []struct {
		name, live, cached, verdict string
		exit                        int
	}{
		{"same", set(a, b), set(a, b), diffSame, 0},
		{"order and white space", set(a, b), "\n" + set(b, a), diffSame, 0},
		{"other shape", set(a), a.String(), diffSame, 0},
		{"added", set(a, b), set(a), diffAdded, 0},
		{"removed", set(a), set(a, b), diffRemoved, 1},
		{"all removed", `{"keys":[]}`, set(a), diffRemoved, 1},
		{"into an empty cache", set(a), `{"keys":[]}`, diffAdded, 0},
		{"rekeyed", set(other), set(a), diffRekeyed, 1},
		{"rekeyed beside added", set(other, edKey("c")), set(a), diffRekeyed, 1},
		{"swapped kids", set(a, ecKey("b")), set(ecKey("a"), good("b")), diffRekeyed, 1},
		{"replaced", set(b), set(a), diffReplaced, 1},
		{"added and removed", set(a, b), set(a, edKey("c")), diffAdded, 1},
		{"renamed", set(good("c")), set(a), diffRenamed, 1},
		{"renamed beside added and removed", set(good("c"), b), set(a, edKey("d")), diffRenamed, 1},
		{"second name", set(a, good("c")), set(a), diffAdded, 0},
		{"metadata", set(a.with("alg", "RS512")), set(a), diffMetadataChanged, 0},
		{"metadata before reencoded", set(padded.with("use", nil)), set(a), diffMetadataChanged, 0},
		{"reencoded", set(padded), set(a), diffReencoded, 0},
		{"no kids", set(a.without("kid"), b), set(b, a.without("kid")), diffSame, 0},
		{"no kid any more", set(a.without("kid")), set(a), diffRenamed, 1},
		{"symmetric", set(object{"kid", "s", "kty", "oct", "k", "AQ"}), set(object{"kid", "s", "kty", "oct", "k", "Ag"}), diffSame, 0},
		{"unknown type", set(object{"kid", "s", "kty", "X", "z", "AQ"}), set(object{"kid", "s", "kty", "X", "z", "Ag"}), diffMetadataChanged, 0},
		{"unreadable", "<html>", set(a), diffUnreadable, 2},
		{"unreadable cache", set(a), "{", diffUnreadable, 2},
	} {
		got := Compare(Read([]byte(c.live)), Read([]byte(c.cached)))
		if got.Verdict != c.verdict || got.ExitCode() != c.exit || got.Stranded() != (c.exit == 1) {
			t.Errorf("%s: %q exit %d, want %q exit %d: %+v", c.name, got.Verdict, got.ExitCode(), c.verdict, c.exit, got)
		}
	}
}

// TestCompareJSON holds the JSON of `keys diff` to the specification.
func TestCompareJSON(t *testing.T) {
	m := keyMaterial()
	live := set(rsaKey("r", m.other), good("new"), edKey("e").with("use", "sig"), ecKey("plus"))
	cached := set(rsaKey("r", m.weak), good("old"), edKey("e").with("key_ops", []string{"verify"}), object{"kid", "minus", "kty", "oct", "k", "AQ"})
	tp := func(key object) string { return thumb(t, key) }
	want := `{"verdict":"rekeyed","added":[{"kid":"plus","thumbprint":"` + tp(ecKey("")) + `"}],` +
		`"removed":[{"kid":"minus","thumbprint":""}],` +
		`"rekeyed":[{"kid":"r","live":"` + tp(rsaKey("", m.other)) + `","cached":"` + tp(rsaKey("", m.weak)) + `"}],` +
		`"renamed":[{"thumbprint":"` + tp(good("")) + `","live":"new","cached":"old"}],` +
		`"metadata":[{"kid":"e","member":"key_ops","live":"","cached":"[\"verify\"]"},{"kid":"e","member":"use","live":"sig","cached":""}]}`
	got, err := json.Marshal(Compare(Read([]byte(live)), Read([]byte(cached))))
	if err != nil || string(got) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}

// TestCompareDoesNotSeeOrder: a difference is the same whatever the order of
// keys and members.
func TestCompareDoesNotSeeOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	live := []object{good("a"), ecKey("b"), edKey("c"), rsaKey("d", keyMaterial().weak), good("")}
	cached := []object{rsaKey("a", keyMaterial().other), ecKey("b2"), edKey("c").with("use", "sig"), good("x")}
	want, _ := json.Marshal(Compare(Read([]byte(set(live...))), Read([]byte(set(cached...)))))
	for range 50 {
		got, _ := json.Marshal(Compare(Read([]byte(set(shuffled(r, live)...))), Read([]byte(set(shuffled(r, cached)...)))))
		if string(got) != string(want) {
			t.Fatalf("got %s\nwant %s", got, want)
		}
	}
}

// shuffled changes the order of keys and of the members in each.
func shuffled(r *rand.Rand, keys []object) []object {
	out := make([]object, len(keys))
	for to, from := range r.Perm(len(keys)) {
		for _, i := range r.Perm(len(keys[from]) / 2) {
			out[to] = append(out[to], keys[from][2*i], keys[from][2*i+1])
		}
	}
	return out
}

func TestMetadataIsComparedByMeaning(t *testing.T) {
	a := Read([]byte(strings.Replace(set(good("a")), `"e":`, `"x": {"b" : 1, "a":[ "A" ]}, "e":`, 1)))
	b := Read([]byte(strings.Replace(set(good("a")), `"e":`, `"x":{"a":["A"],"b":1},"e":`, 1)))
	if d := Compare(a, b); d.Verdict != diffSame {
		t.Errorf("%+v", d)
	}
	long := strings.Repeat("x", 10_000)
	c := Read([]byte(set(good("a").with("long", long))))
	if got := c.Keys[0].Metadata["long"]; len(got) > 100 || !strings.Contains(got, "sha256:") {
		t.Errorf("a long value is kept: %.100s", got)
	}
	if d := Compare(c, Read([]byte(set(good("a").with("long", long+"y"))))); d.Verdict != diffMetadataChanged {
		t.Errorf("%+v", d)
	}
	if runbook.ProblemEmptySet != "empty_set" {
		t.Error("the specification names the problem empty_set")
	}
}
