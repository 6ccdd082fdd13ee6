package keys

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func inString(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestShapes(t *testing.T) {
	one, two := good("a").String(), set(good("a"), ecKey("b"))
	cert := pemOf("CERTIFICATE", keyMaterial().cert)
	for _, c := range []struct {
		name, doc, shape string
		keys, usable     int
		say              string // a part of the problems; "": there are none
	}{
		{"set", two, "set", 2, 2, ""},
		{"set with more members", `{"issuer":"https://a","keys":[` + one + `]}`, "set", 1, 1, ""},
		{"jwk", one, "jwk", 1, 1, ""},
		{"array", "[" + one + "]", "array", 1, 1, ""},
		{"string", inString(two), "string", 2, 2, ""},
		{"string of string", inString(inString(one)), "string", 1, 1, ""},
		{"string of pem", inString(publicPEM()), "string", 1, 1, ""},
		{"envelope", `{"jwks":` + two + `,"uat":1700000000}`, "envelope", 2, 2, ""},
		{"envelope of text", `{"jwks_json":` + inString(two) + `,"fetched_at":"2026-01-02T03:04:05Z"}`, "envelope", 2, 2, ""},
		{"envelope of array", `{"data":[` + one + `]}`, "envelope", 1, 1, ""},
		{"envelope of jwk", `{"jwk":` + one + `}`, "envelope", 1, 1, ""},
		{"envelope of any name", `{"x":1,"whatever":{"deeper":` + two + `}}`, "envelope", 2, 2, ""},
		{"keys below another member", `{"result":{"keys":[` + one + `]},"error":null}`, "envelope", 1, 1, ""},
		{"map", `{"a":` + good("a").without("kid").String() + `,"b":` + ecKey("b").without("kid").String() + `}`, "envelope", 2, 2, ""},
		{"map of pem", `{"a":` + inString(publicPEM()) + `}`, "envelope", 1, 1, ""},
		{"keys is a map", `{"keys":{"a":` + good("a").without("kid").String() + `}}`, "envelope", 1, 1, ""},
		{"keys is text", `{"keys":` + inString("["+one+"]") + `}`, "envelope", 1, 1, ""},
		{"keys in capitals", `{"Keys":[` + one + `]}`, "envelope", 1, 1, `spelled "Keys"`},
		{"jackson", `{"@class":"com.a.Set","keys":["java.util.ArrayList",[` + one + `]]}`, "set", 1, 1, ""},
		{"pem", publicPEM(), "pem", 1, 1, ""},
		{"certificate", cert, "pem", 1, 1, ""},
		{"several pem", publicPEM() + "\n" + cert, "pem", 2, 2, ""},
		{"keys null", `{"keys":null}`, "set", 0, 0, "empty_set"},
		{"keys empty", `{"keys":[]}`, "set", 0, 0, "empty_set"},
		{"array empty", `[]`, "array", 0, 0, "empty_set"},
		{"keys twice", `{"keys":[],"keys":[` + one + `]}`, "set", 1, 1, "member keys: appears more than once"},
		{"bom", "\ufeff" + two, "set", 2, 2, "byte order mark"},
		{"white space", " \n" + two + "\r\n", "set", 2, 2, ""},
		{"trailing text", two + "xyz", "set", 2, 0, "after the document: 3 bytes of other text"},
		{"second document", two + "\n" + two, "set", 2, 0, "a second document"},
		{"junk beside keys", `{"keys":[1,null,"x",[],` + one + `]}`, "set", 5, 1, "key 1: a number, not an object"},
		{"keys number", `{"keys":7}`, "unreadable", 0, 0, "member keys: a number, not an array"},
		{"nothing", "", "unreadable", 0, 0, "empty"},
		{"null", "null", "unreadable", 0, 0, "null"},
		{"error body", `{"error":"x","message":"y"}`, "unreadable", 0, 0, `members "error", "message"`},
		{"map of issuers", `{"https://a":` + set(good("a")) + `,"x":1,"https://b":` + set(good("b")) + `}`, "envelope", 2, 2, ""},
		{"map of certificates", `{"a":{"x5c":["` + base64.StdEncoding.EncodeToString(keyMaterial().cert) + `"]}}`, "envelope", 1, 0, "only a certificate"},
		{"error body with a list", `{"message":"x","errors":[],"data":{}}`, "unreadable", 0, 0, "no keys"},
		{"envelope of nothing", `{"jwks":[]}`, "envelope", 0, 0, "empty_set"},
		{"envelope of a key without kty", `{"a":` + good("a").without("kty").String() + `}`, "envelope", 1, 0, "member kty: missing"},
		{"array of numbers", `[1,2]`, "unreadable", 0, 0, "an array of other things"},
		{"html", "<!DOCTYPE html><html></html>", "unreadable", 0, 0, "HTML"},
		{"cut off", two[:len(two)-9], "unreadable", 0, 0, "the text ends where"},
		{"comment", `{"keys":[ // none` + "\n]}", "unreadable", 0, 0, "line 1, column 11"},
		{"trailing comma", `{"keys":[` + one + `,]}`, "unreadable", 0, 0, "not JSON"},
		{"binary", "\x00\x01\x02\xff", "unreadable", 0, 0, "binary"},
		{"damaged pem", "-----BEGIN PUBLIC KEY-----\nAAAA", "unreadable", 0, 0, "PEM that is damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Read([]byte(c.doc))
			if got.Shape != c.shape || len(got.Keys) != c.keys || got.Usable != c.usable {
				t.Fatalf("shape %q, %d keys, %d usable; want %q, %d, %d: %s", got.Shape, len(got.Keys), got.Usable, c.shape, c.keys, c.usable, allProblems(got))
			}
			if problems := allProblems(got); c.say == "" && problems != "" || !strings.Contains(problems, c.say) {
				t.Errorf("problems %q, want %q", problems, c.say)
			}
			if c.usable > 0 && !strings.Contains(c.shape, "pem") && got.Keys[len(got.Keys)-1].Kid == "" && !strings.Contains(c.name, "pem") {
				t.Errorf("no kid: %+v", got.Keys)
			}
		})
	}
}

// TestJSONHasNoNull: consumers of `keys inspect` never meet null.
func TestJSONHasNoNull(t *testing.T) {
	for _, doc := range []string{"", "{}", `{"keys":[]}`, set(good("a")), `{"keys":[1]}`, publicPEM()} {
		b, err := json.Marshal(Read([]byte(doc)))
		if err != nil || strings.Contains(string(b), "null") {
			t.Errorf("%s: %s %v", doc, b, err)
		}
	}
	b, err := json.Marshal(Compare(Read(nil), Read(nil)))
	if err != nil || string(b) != `{"verdict":"unreadable","added":[],"removed":[],"rekeyed":[],"renamed":[],"metadata":[]}` {
		t.Errorf("%s %v", b, err)
	}
}

// TestPrivatePEM: a private key in PEM is a leak and is not kept.
func TestPrivatePEM(t *testing.T) {
	got := Read([]byte(pemOf("RSA PRIVATE KEY", []byte("secret secret secret secret secret"))))
	if !got.PrivatePublished || got.Usable != 0 || len(got.Keys) != 1 || strings.Contains(fmt.Sprintf("%#v", got), "c2VjcmV0") {
		t.Errorf("%#v", got)
	}
}

// TestMonsters: no document hangs the reader or makes it use much memory.
func TestMonsters(t *testing.T) {
	deep := strings.Repeat(`{"keys":[`, 20_000) + strings.Repeat("]}", 20_000)
	many := make([]object, 10_000)
	for i := range many {
		many[i] = good(fmt.Sprintf("kid-%d", i))
	}
	for _, c := range []struct {
		name, doc string
		keys      int
	}{
		{"20,000 levels", deep, 1},
		{"20,000 arrays", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), 0},
		{"levels beside a key", `{"keys":[{"kty":"RSA","deep":` + deep + `},` + good("a").String() + `]}`, 2},
		{"open brackets", strings.Repeat("[", 1<<20), 0},
		{"10,000 keys", set(many...), 10_000},
		{"10,000 keys in a string", inString(set(many...)), 10_000},
		{"empty keys", `{"keys":[{}` + strings.Repeat(",{}", 1<<20) + `]}`, maxKeys},
		{"one kid", `{"keys":[{"kid":"a"}` + strings.Repeat(`,{"kid":"a"}`, 1<<17) + `]}`, maxKeys},
		{"members", `{"keys":[{"kty":"RSA"` + func() string {
			var b strings.Builder
			for i := range 200_000 {
				fmt.Fprintf(&b, `,"m%d":1`, i)
			}
			return b.String()
		}() + `}]}`, 1},
		{"strings in strings", inString(inString(inString(inString(inString(inString(inString(inString(set(good("a")))))))))), 0},
		{"envelopes", strings.Repeat(`{"kty ":`, 5000) + "1" + strings.Repeat("}", 5000), 0},
		{"pem begins", strings.Repeat("-----BEGIN X-----\n", 50_000), 0},
		{"beyond the limit", strings.Repeat(" ", maxDocument+1), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := []byte(c.doc)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			got := Read(b)
			runtime.GC()
			runtime.ReadMemStats(&after)
			if len(got.Keys) != c.keys {
				t.Errorf("%d keys, want %d: %q", len(got.Keys), c.keys, got.Problems)
			}
			// The peak lies between what is held and the sum of all that was
			// allocated, freed or not.
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
				t.Errorf("holds %d MiB", grown>>20)
			}
			if total := after.TotalAlloc - before.TotalAlloc; total > 80<<20 {
				t.Errorf("allocates %d MiB", total>>20)
			}
			runtime.KeepAlive(got)
		})
	}
}

// TestManyKeysInOrder: keys that are read at once keep their order, their
// numbers and what was said of each, whoever computed the thumbprints.
func TestManyKeysInOrder(t *testing.T) {
	rewritten := func(kid string) object {
		k := good(kid)
		for _, name := range []string{"n", "e"} {
			k = k.with(name, zeroBefore(k[k.index(name)+1].(string)))
		}
		return k
	}
	padded := func(kid string) object {
		k := ecKey(kid)
		return k.with("x", k[k.index("x")+1].(string)+"=").with("y", zeroBefore(k[k.index("y")+1].(string)))
	}
	kinds := []func(string) object{edKey, ecKey, good, rewritten, padded}
	var keys []object
	for i := range 4*manyKeys + 3 {
		k := kinds[i%len(kinds)](fmt.Sprintf("kid-%d", i))
		if i%10 == 7 {
			k = k.with("kty", "X99")
		}
		keys = append(keys, k)
	}
	got := Read([]byte(set(keys...)))
	if len(got.Keys) != len(keys) {
		t.Fatalf("%d keys of %d", len(got.Keys), len(keys))
	}
	for i, k := range got.Keys {
		alone := Read([]byte(keys[i].String())).Keys[0]
		if k.Kid != fmt.Sprintf("kid-%d", i) || k.Usable != (i%10 != 7) || k.Thumbprint != alone.Thumbprint || len(k.Problems) != len(alone.Problems) {
			t.Errorf("key %d: %+v", i+1, k)
		}
		if i%10 == 7 && !strings.HasPrefix(k.Problems[0], fmt.Sprintf("key %d (kid %q): ", i+1, k.Kid)) {
			t.Errorf("key %d: %q", i+1, k.Problems)
		}
	}
}

func TestExitCode(t *testing.T) {
	bad := good("b").with("e", "AQ")
	for doc, want := range map[string]int{
		set(good("a")): 0,
		set(good("a"), good("b").with("use", "enc")):     0,
		set(good("a"), edKey("b").with("crv", "X25519")): 0,
		set(good("a"), bad):                              1,
		set(good("a").with("use", "enc")):                1,
		set(good("a").with("d", "c2VjcmV0")):             1,
		`{"keys":[]}`:                                    1,
		`{}`:                                             2,
		set(good("a")) + "x":                             1,
		set(good("a"), good(`: encryption key: `).with("kty", "X")): 1,
	} {
		if got := ExitCode(Read([]byte(doc))); got != want {
			t.Errorf("exit code %d, want %d: %s", got, want, doc)
		}
	}
}

// BenchmarkRead1MiB reads sets of about 1 MiB; below 50 ms is the goal.
func BenchmarkRead1MiB(b *testing.B) {
	cert := base64.StdEncoding.EncodeToString(keyMaterial().cert)
	withCert := func(kid string) object { return good(kid).with("x5c", []string{cert}) }
	for name, make := range map[string]func(string) object{"RSA": good, "RSA_x5c": withCert, "EC": ecKey, "OKP": edKey} {
		var keys []object
		for size := 0; size < 1<<20; {
			k := make(fmt.Sprintf("kid-%d", len(keys)))
			size += len(k.String()) + 1
			keys = append(keys, k)
		}
		doc := []byte(set(keys...))
		b.Run(fmt.Sprintf("%s_%d_keys", name, len(keys)), func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if got := Read(doc); got.Usable != len(keys) {
					b.Fatal(got.Usable)
				}
			}
		})
	}
}
