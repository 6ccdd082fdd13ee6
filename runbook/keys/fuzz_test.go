package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"jwksbot/runbook"
)

// planted is a value that must not come out. It is no part of any seed.
const planted = "UGxhbnRlZFNlY3JldFZhbHVl"

func seeds() []string {
	a, b := good("a"), ecKey("b")
	return []string{
		set(a, b, edKey("c")), a.String(), "[" + a.String() + "]", inString(set(a)), `{"jwks":` + set(a) + `,"uat":1}`,
		`{"k1":` + a.without("kid").String() + `}`, publicPEM(), pemOf("CERTIFICATE", keyMaterial().cert), `{"keys":null}`, `{"keys":[]}`,
		set(a.with("x5c", []string{"AA=="})), set(a.with("kid", 1), b.with("crv", "P-521")), "\ufeff{}", "<html>", `{"error":"x"}`,
		`{"keys":[{"kty":"RSA","n":"","e":""}]}x`, `{"keys":[[[[]]],{"\u006b\u0074y":"oct"}]}`, `{"keys":{"keys":"{\"keys\":[{\"kty\":\"EC\"}]}"}}`,
	}
}

// FuzzRead: no document makes the reader panic, forget the shape of its result,
// or repeat a secret; what it reads bare it reads in a string and an envelope.
func FuzzRead(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, c := readWithin(t, b)
		peak(t, f.Name(), c)
		checkSet(t, got)
		if !json.Valid(b) || got.Shape == runbook.ShapeUnreadable || got.Shape == runbook.ShapeEnvelope {
			return
		}
		for _, wrapped := range []string{inString(string(b)), `{"jwks":` + string(b) + `}`} {
			if !utf8.Valid(b) && wrapped[0] == '"' {
				continue // a JSON string cannot hold it
			}
			if in := Read([]byte(wrapped)); !slices.EqualFunc(in.Keys, got.Keys, sameKey) && got.Shape != runbook.ShapeString {
				t.Errorf("bare %+v\nwrapped %+v\n%s", got, in, wrapped)
			}
		}
	})
}

func sameKey(a, b runbook.Key) bool {
	return a.Kid == b.Kid && a.Thumbprint == b.Thumbprint && a.Usable == b.Usable && a.Kty == b.Kty
}

// checkSet holds what every reading promises.
func checkSet(t *testing.T, got runbook.KeySet) {
	t.Helper()
	shapes := []string{runbook.ShapeSet, runbook.ShapeJWK, runbook.ShapeArray, runbook.ShapeString, runbook.ShapeEnvelope, runbook.ShapePEM, runbook.ShapeUnreadable}
	if !slices.Contains(shapes, got.Shape) || got.Keys == nil || got.Problems == nil {
		t.Errorf("incomplete: %#v", got)
	}
	usable := 0
	for _, k := range got.Keys {
		if k.Problems == nil || !k.Usable && len(k.Problems) == 0 && len(got.Problems) == 0 {
			t.Errorf("unusable without a reason: %#v", k)
		}
		if k.Usable {
			usable++
			if k.Thumbprint == "" {
				t.Errorf("usable without a thumbprint: %#v", k)
			}
		}
	}
	if usable != got.Usable || got.Shape == runbook.ShapeUnreadable && (len(got.Keys) > 0 || len(got.Problems) == 0) {
		t.Errorf("inconsistent: %#v", got)
	}
	if len(got.Keys) == 0 && got.Shape != runbook.ShapeUnreadable && !slices.Contains(got.Problems, runbook.ProblemEmptySet) {
		t.Errorf("empty without saying so: %#v", got)
	}
	if d := Compare(got, got); got.Shape != runbook.ShapeUnreadable && d.Verdict != diffSame {
		t.Errorf("differs from itself: %+v", d)
	}
}

// FuzzSecret plants a secret in a private or symmetric member of a fuzzed key,
// in every wrapping: it never comes out, and it is noticed.
func FuzzSecret(f *testing.F) {
	for i, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "D"} {
		f.Add(uint8(i), name, "kid", "member", `"value"`, uint64(i))
	}
	names := []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}
	all := wrappings()
	f.Fuzz(func(t *testing.T, at uint8, _, kid, member, value string, seed uint64) {
		if !json.Valid([]byte(value)) {
			value = "1"
		}
		secret := names[int(at)%len(names)]
		r := rand.New(rand.NewPCG(seed, 1))
		k := good(kid).with(member, json.RawMessage(value), secret, planted)
		doc := set(shuffled(r, []object{k, ecKey("b")})...)
		w := all[r.IntN(len(all))]
		got := decoded(w.wrap(doc))
		if strings.Contains(fmt.Sprintf("%#v", got), planted) {
			t.Errorf("%s: member %s is kept: %#v", w.name, secret, got)
		}
		if got.Unread != "" {
			return // nothing is noticed of what costs too much, as the reading says
		}
		if secret != "k" && !got.Set.PrivatePublished || secret == "k" && !got.Set.SymmetricPublished {
			t.Errorf("%s: member %s is not noticed: %#v", w.name, secret, got)
		}
	})
}

// FuzzThumbprint: a thumbprint does not change under reordering, re-encoding or
// renaming.
func FuzzThumbprint(f *testing.F) {
	f.Add("kid", "x", `"y"`, uint64(1))
	f.Add("", "use", `"sig"`, uint64(2))
	want := []string{thumb(f, good("")), thumb(f, ecKey("")), thumb(f, edKey(""))}
	f.Fuzz(func(t *testing.T, kid, member, value string, seed uint64) {
		if !json.Valid([]byte(value)) || slices.Contains(append([]string{"kty", "k", "x5c"}, numberNames...), strings.ToLower(member)) {
			return
		}
		r := rand.New(rand.NewPCG(seed, 2))
		keys := []object{good(kid), ecKey(kid), edKey(kid)}
		for i, k := range keys {
			for j := 0; j < len(k); j += 2 {
				if text, ok := k[j+1].(string); ok && slices.Contains([]string{"n", "e", "x", "y"}, k[j].(string)) && k[1] == kid {
					k = k.with(k[j], reencoded(r, text, i == 0))
				}
			}
			keys[i] = k.with(member, json.RawMessage(value))
		}
		var got []string
		for _, k := range Read([]byte(set(keys...))).Keys {
			got = append(got, k.Thumbprint)
		}
		if !slices.Equal(got, want) {
			t.Errorf("thumbprints %q, want %q: %s", got, want, set(keys...))
		}
	})
}

// reencoded writes a number in one of the ways that are seen in public.
func reencoded(r *rand.Rand, text string, integer bool) string {
	switch r.IntN(4) {
	case 0:
		return text + strings.Repeat("=", (4-len(text)%4)%4)
	case 1:
		return strings.NewReplacer("-", "+", "_", "/").Replace(text)
	case 2:
		return text[:2] + "\r\n" + text[2:]
	}
	if integer {
		return zeroBefore(text)
	}
	return text
}

// FuzzDecode: no stored value makes a decoder panic, none is repeated in words,
// and what is read of it is read in every wrapping that keeps it as it is.
func FuzzDecode(f *testing.F) {
	var keeping []wrapping
	for _, w := range wrappings() {
		if slices.Contains(textual, w.name) {
			keeping = append(keeping, w)
		}
	}
	if len(keeping) != len(textual) {
		f.Fatalf("%d wrappings keep text, want %d", len(keeping), len(textual))
	}
	for _, w := range wrappings() {
		if e := w.wrap(set(good("a"), ecKey("b"))); e.Type == "string" {
			f.Add(e.Name, e.Type, e.Value)
		} else {
			f.Add(e.Name, e.Type, e.Parts[len(e.Parts)-1].Value)
		}
	}
	for _, s := range seeds() {
		f.Add("jwks:kid:a", "string", []byte(s))
		f.Add("jwks:negative:a", "hash", []byte(s))
	}
	f.Fuzz(func(t *testing.T, name, kind string, value []byte) {
		e := runbook.RawEntry{Name: name, Type: kind, Value: value, Bytes: len(value)}
		if kind != "string" && kind != "" {
			e.Parts = []runbook.RawPart{{Field: "k1", Value: value}, {Field: "data", Value: []byte("x")}, {Field: "absexp", Value: []byte("1")}}
		}
		got, c := within(t, e)
		peak(t, f.Name(), c)
		checkSet(t, got.Set)
		if got.Format == "" || got.Content == "" || (got.Content == runbook.ContentKeys) != (len(got.Set.Keys) > 0) && got.Content != runbook.ContentPoison {
			t.Errorf("incomplete: %#v", got)
		}
		if got.Content != runbook.ContentKeys && got.Note == "" {
			t.Errorf("no note: %#v", got)
		}
		if len(value) > 64 && bytes.Contains([]byte(got.Note), value) {
			t.Errorf("the value is dumped: %q", got.Note)
		}
		if kind != "string" || len(value) == 0 || len(value) > 1<<20 || strings.Count(got.Format, " > ") >= maxUnwrap-2 {
			return
		}
		w := keeping[(len(value)+int(value[0]))%len(keeping)]
		wrapped := w.wrap(string(value))
		wrapped.Name = name
		if in := decoded(wrapped); in.Unread == got.Unread && (in.Content != got.Content || in.Kid != got.Kid || in.Issuer != got.Issuer || !slices.EqualFunc(in.Set.Keys, got.Set.Keys, sameKey)) {
			t.Errorf("%s: %+v\nbare: %+v\n%q", w.name, in, got, value)
		}
	})
}

// FuzzWrapping: what is readable bare is readable in every wrapping. Three of
// them are tried for each input, or compressing would take all the time.
func FuzzWrapping(f *testing.F) {
	f.Add("a", "x", `"y"`, uint64(1))
	f.Add("0SGns29+/=", "use", `"enc"`, uint64(2))
	all := wrappings()
	f.Fuzz(func(t *testing.T, kid, member, value string, seed uint64) {
		if !json.Valid([]byte(value)) || !utf8.ValidString(kid+member+value) || len(value) > 1000 || !fitsPlain(value) {
			return
		}
		r := rand.New(rand.NewPCG(seed, 3))
		doc := set(shuffled(r, []object{good(kid).with(member, json.RawMessage(value)), ecKey("b")})...)
		want := decoded(stringEntry(doc))
		for range 3 {
			w := all[r.IntN(len(all))]
			got := decoded(w.wrap(doc))
			if got.Content != want.Content || !slices.EqualFunc(got.Set.Keys, want.Set.Keys, sameKey) {
				t.Errorf("%s: %+v\nbare: %+v\n%s", w.name, got, want, doc)
			}
		}
	})
}

// fitsPlain says that the test's own encoders can write the value: no numbers
// but small integers.
func fitsPlain(value string) bool {
	return !strings.ContainsAny(value, "0123456789\\{")
}
