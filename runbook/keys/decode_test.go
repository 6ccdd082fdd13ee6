package keys

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
)

// wrapping is a way in which an application may store a document.
type wrapping struct {
	name   string
	format string // what the reading must begin with
	wrap   func(doc string) runbook.RawEntry
}

// textual are the wrappings that keep any bytes as they are; the others store
// what the document means.
var textual = []string{"gzip", "zlib", "zstd", "gzip in zlib", "PHP string", "pickle string", "pickle bytes", "Spring", "Rails 7.1", "Rails 6"}

func stringEntry(value string) runbook.RawEntry {
	return runbook.RawEntry{Name: "app:jwks", Type: "string", Value: []byte(value), Bytes: len(value)}
}

func asString(f func(string) string) func(string) runbook.RawEntry {
	return func(doc string) runbook.RawEntry { return stringEntry(f(doc)) }
}

func compress(w io.WriteCloser, b *bytes.Buffer, doc string) string {
	_, _ = io.WriteString(w, doc) // a buffer takes everything
	_ = w.Close()
	return b.String()
}

// gz is fast, since a fuzz target compresses all the time.
func gz(doc string) string {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	return compress(w, &b, doc)
}

func zl(doc string) string {
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, zlib.BestSpeed)
	if err != nil {
		panic(err)
	}
	return compress(w, &b, doc)
}

// zstdEncoder is made once: each has megabytes of tables.
var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err)
	}
	return w
})

func zst(doc string) string { return string(zstdEncoder().EncodeAll([]byte(doc), nil)) }

// php is serialize() of a value that was decoded from JSON.
func php(v any) string {
	switch v := v.(type) {
	case nil:
		return "N;"
	case bool:
		return map[bool]string{true: "b:1;", false: "b:0;"}[v]
	case float64:
		return fmt.Sprintf("i:%d;", int64(v))
	case string:
		return fmt.Sprintf("s:%d:%q;", len(v), "")[:len(fmt.Sprintf("s:%d:", len(v)))] + `"` + v + `";`
	case []any:
		s := fmt.Sprintf("a:%d:{", len(v))
		for i, item := range v {
			s += fmt.Sprintf("i:%d;", i) + php(item)
		}
		return s + "}"
	case map[string]any:
		s := fmt.Sprintf("a:%d:{", len(v))
		for name, item := range v {
			s += php(name) + php(item)
		}
		return s + "}"
	}
	panic("unknown type")
}

func u32(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

// pickleItem is a value that was decoded from JSON, as pickle instructions.
func pickleItem(v any) string {
	switch v := v.(type) {
	case nil:
		return "N"
	case bool:
		return map[bool]string{true: "\x88", false: "\x89"}[v]
	case float64:
		return "J" + u32(int(v))
	case string:
		return "X" + u32(len(v)) + v
	case []any:
		s := "]\x94("
		for _, item := range v {
			s += pickleItem(item)
		}
		return s + "e"
	case map[string]any:
		s := "}\x94("
		for name, item := range v {
			s += pickleItem(name) + pickleItem(item)
		}
		return s + "u"
	}
	panic("unknown type")
}

func pickle(v any) string { return "\x80\x04" + pickleItem(v) + "." }

// rubyLong is Marshal's integer.
func rubyLong(n int) string {
	switch {
	case n == 0:
		return "\x00"
	case n < 123:
		return string([]byte{byte(n + 5)})
	default:
		return "\x04" + u32(n)
	}
}

func rubyString(s string) string { return `I"` + rubyLong(len(s)) + s + "\x06:\x06ET" }

func rubyItem(v any) string {
	switch v := v.(type) {
	case nil:
		return "0"
	case bool:
		return map[bool]string{true: "T", false: "F"}[v]
	case float64:
		return "i" + rubyLong(int(v))
	case string:
		return rubyString(v)
	case []any:
		s := "[" + rubyLong(len(v))
		for _, item := range v {
			s += rubyItem(item)
		}
		return s
	case map[string]any:
		s := "{" + rubyLong(len(v))
		for name, item := range v {
			s += rubyString(name) + rubyItem(item)
		}
		return s
	}
	panic("unknown type")
}

func rails(kind byte, payload string) string {
	return "\x00\x11" + string([]byte{kind}) + "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff" + payload
}

func javaString(s string) string {
	return "\xac\xed\x00\x05\x7c" + string(binary.BigEndian.AppendUint64(nil, uint64(len(s)))) + s
}

// plainValue decodes a document for the formats that store data, not text.
func plainValue(doc string) any {
	var v any
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		return doc
	}
	return v
}

// wrappings are the formats of facts section 2.
func wrappings() []wrapping {
	data := func(f func(any) string) func(string) runbook.RawEntry {
		return asString(func(doc string) string { return f(plainValue(doc)) })
	}
	return []wrapping{
		{"bare", "JSON key set", asString(func(d string) string { return d })},
		{"JSON string", "JSON string", asString(inString)},
		{"gzip", "gzip > JSON key set", asString(gz)},
		{"zlib", "zlib > JSON key set", asString(zl)},
		{"zstd", "zstd > JSON key set", asString(zst)},
		{"django-redis with zstd", "zstd > Python pickle > JSON key set", data(func(v any) string { return zst(pickle(v)) })},
		{"gzip in zlib", "zlib > gzip > JSON", asString(func(d string) string { return zl(gz(d)) })},
		{"envelope", "JSON envelope (jwks) > JSON key set", asString(func(d string) string { return `{"uat":1700000000,"jwks":` + d + `}` })},
		{"envelope of text", "JSON envelope (jwks_json) > JSON string", asString(func(d string) string { return `{"jwks_json":` + inString(d) + `,"fetched_at":1700000000}` })},
		{"PHP string", "PHP serialize > JSON key set", asString(func(d string) string { return php(d) })},
		{"PHP array", "PHP serialize > JSON key set", data(php)},
		{"Symfony with metadata", "PHP serialize > JSON envelope", asString(func(d string) string {
			return "O:2:\"\u00a9\":1:{s:8:\"\xff\x01\x02\x03\x00\x00\x0e\xa6\";" + php(d) + "}"
		})},
		{"pickle string", "Python pickle > JSON key set", asString(func(d string) string { return pickle(d) })},
		{"pickle bytes", "Python pickle > JSON key set", asString(func(d string) string { return "\x80\x03B" + u32(len(d)) + d + "q\x00." })},
		{"pickle dict", "Python pickle > JSON key set", data(pickle)},
		{"cachelib", "Python pickle > JSON key set", data(func(v any) string { return "!" + pickle(v) })},
		{"django-redis", "zlib > Python pickle > JSON key set", data(func(v any) string { return zl(pickle(v)) })},
		{"Spring", "Java serialisation > JSON key set", asString(javaString)},
		{"Rails 7.1", "Rails cache entry > JSON key set", asString(func(d string) string { return rails(2, d) })},
		{"Rails 7.1 compressed", "Rails cache entry > Ruby Marshal > JSON key set", data(func(v any) string { return rails(0x81, zl("\x04\x08"+rubyItem(v))) })},
		{"Rails 6", "Ruby Marshal > JSON key set", asString(func(d string) string {
			return "\x04\x08o: ActiveSupport::Cache::Entry\x08:\x0b@value" + rubyString(d) + ":\x0d@version0:\x10@created_atf\x060"
		})},
		{"Rails 5 envelope", "Ruby Marshal > JSON envelope (value) > JSON string", asString(func(d string) string {
			return "\x04\x08o: ActiveSupport::Cache::Entry\x07:\x0b@value" + rubyString(d) + ":\x10@created_atf\x0f1700000000"
		})},
		{".NET", ".NET cache hash > JSON key set", func(d string) runbook.RawEntry {
			return runbook.RawEntry{Name: "app:jwks", Type: "hash", Bytes: len(d), Parts: []runbook.RawPart{
				{Field: "absexp", Value: []byte("638000000000000000")}, {Field: "sldexp", Value: []byte("-1")}, {Field: "data", Value: []byte(d)}}}
		}},
		{"set with one set", "set of keys > JSON key set", func(d string) runbook.RawEntry {
			return runbook.RawEntry{Name: "app:jwks", Type: "set", Bytes: len(d), Parts: []runbook.RawPart{{Value: []byte(d)}}}
		}},
	}
}

// TestDecodeWrappings: what is readable bare is readable in every wrapping.
func TestDecodeWrappings(t *testing.T) {
	doc := set(good("0SGns29+VR/52C=").with("x", nil), ecKey("b"), edKey("c").without("kid"))
	want := decoded(stringEntry(doc))
	if want.Content != runbook.ContentKeys || want.Set.Usable != 3 {
		t.Fatalf("%+v", want)
	}
	for _, w := range wrappings() {
		got := decoded(w.wrap(doc))
		if got.Content != runbook.ContentKeys || !strings.HasPrefix(got.Format, w.format) || got.Set.Usable != 3 {
			t.Errorf("%s: %q, %s, %d usable: %s %q", w.name, got.Format, got.Content, got.Set.Usable, got.Note, got.Set.Problems)
			continue
		}
		if d := Compare(got.Set, want.Set); d.Verdict != diffSame {
			t.Errorf("%s: differs from bare: %+v", w.name, d)
		}
		if strings.Contains(w.name, "envelope") && !got.Written.Equal(time.Unix(1700000000, 0)) {
			t.Errorf("%s: written %v", w.name, got.Written)
		}
	}
}

func TestDecodeContents(t *testing.T) {
	one := set(good("a"))
	for _, c := range []struct {
		name, entry, value string
		content            runbook.Content
		format, note, kid  string // parts
	}{
		{"array", "jwks", "[" + good("a").String() + "]", runbook.ContentKeys, "JSON array of keys", "", ""},
		{"Symfony, key by key", "jwks", php(map[string]any{"a": plainValue(good("a").String())}), runbook.ContentKeys, "PHP serialize > JSON map from kid to key", "", ""},
		{"a set with more after it is no marker", "jwks:negative:a", one + "}", runbook.ContentPoison, "JSON key set", "1 bytes of other text", ""},
		{"jwk with kid", "jwks:kid:a", good("a").String(), runbook.ContentKeys, "JSON key", "", "a"},
		{"jwk without kid", "auth:keys:jwk:x/y+z=:1", good("a").without("kid").String(), runbook.ContentKeys, "JSON key", "", "x/y+z=:1"},
		{"pem per kid", "jwks:kid:k1", publicPEM(), runbook.ContentKeys, "PEM", "", "k1"},
		{"pem with issuer", "searchai:jwks:t1:https://issuer.example/x:k/1", publicPEM(), runbook.ContentKeys, "PEM", "", "k/1"},
		{"lua-resty", "https://issuer.example/jwks#k1", publicPEM(), runbook.ContentKeys, "PEM", "", "k1"},
		{"pem of no kid", "cognito:pem", publicPEM(), runbook.ContentKeys, "PEM", "", ""},
		{"set is not about one kid", "json:jwk:set:md5:k1", one, runbook.ContentKeys, "JSON key set", "", ""},
		{"empty set", "jwks", `{"keys":[]}`, runbook.ContentEmpty, "JSON key set", "key set without keys, 11 bytes", ""},
		{"null keys", "jwks", `{"keys":null}`, runbook.ContentEmpty, "JSON key set", "", ""},
		{"null", "jwks", `null`, runbook.ContentEmpty, "JSON null", "", ""},
		{"PHP null", "jwks", `s:0:"";`, runbook.ContentEmpty, "PHP serialize > nothing", "", ""},
		{"no bytes", "jwks", "", runbook.ContentEmpty, "nothing", "nothing, 0 bytes", ""},
		{"html", "jwks", "<html>secret</html>", runbook.ContentPoison, "HTML page", "HTML page, 19 bytes", ""},
		{"html in gzip", "jwks", gz("<html></html>"), runbook.ContentPoison, "gzip > HTML page", "HTML page", ""},
		{"error body", "jwks", `{"message":"secret"}`, runbook.ContentPoison, "JSON that is not a key set", `members "message"`, ""},
		{"cut off", "jwks", one[:len(one)/2], runbook.ContentPoison, "JSON that is cut off", "the text ends", ""},
		{"text", "jwks", "Service Unavailable", runbook.ContentPoison, "text", "text, 19 bytes", ""},
		{"trailing", "jwks", one + "}", runbook.ContentPoison, "JSON key set", "1 bytes of other text", ""},
		{"negative name", "jwks:negative:k/1:2", "1", runbook.ContentNegative, "negative marker", "", "k/1:2"},
		{"negative object", "jwks:kid:k1", `{"negative":true}`, runbook.ContentNegative, "negative marker", "", "k1"},
		{"negative object with kid", "jwks-miss", `{"kid":"k2","found":false}`, runbook.ContentNegative, "negative marker", "", "k2"},
		{"negative token", "jwks:key:k1", "not_found", runbook.ContentNegative, "negative marker", "", "k1"},
		{"negative token in PHP", "jwks:key:k1", `s:9:"not_found";`, runbook.ContentNegative, "negative marker", "", "k1"},
		{"a kid that is called negative", "jwks:negative", one, runbook.ContentKeys, "JSON key set", "", ""},
		{"binary", "jwks", "\x07\x00\xffsecret", runbook.ContentUnknown, "binary data", "binary data, 9 bytes", ""},
		{"lz4", "jwks", "\x04\x22\x4d\x18\x00secret", runbook.ContentUnknown, "binary data", "lz4", ""},
		{"damaged zstd", "jwks", zst(one)[:40], runbook.ContentUnknown, "zstd", "damaged or cut off", ""},
		{"no zstd", "jwks", "\x28\xb5\x2f\xfd\x00secret", runbook.ContentUnknown, "zstd", "damaged or cut off", ""},
		{"zstd bomb", "jwks", zst(strings.Repeat(" ", maxInflated+1)), runbook.ContentUnknown, "unknown", "not decoded: took more than 4.0 MiB of memory", ""},
		{"zstd with a window of 1 GiB", "jwks", "\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00", runbook.ContentUnknown, "zstd", "asks for more than 8 MiB", ""},
		{"token", "jwks", strings.Repeat("secret", 20), runbook.ContentUnknown, "opaque text", "opaque text, 120 bytes", ""},
		{"damaged gzip", "jwks", gz(one)[:40], runbook.ContentUnknown, "gzip", "damaged or cut off", ""},
		{"bomb", "jwks", gz(strings.Repeat(" ", maxInflated+1)), runbook.ContentUnknown, "unknown", "not decoded: took more than", ""},
		{"damaged PHP", "jwks", `a:9:{i:0;s:99:"x";}`, runbook.ContentUnknown, "PHP serialize", "damaged or cut off", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := stringEntry(c.value)
			e.Name = c.entry
			got := decoded(e)
			if got.Content != c.content || !strings.HasPrefix(got.Format, c.format) || got.Kid != c.kid || !strings.Contains(got.Note, c.note) {
				t.Errorf("content %q, format %q, kid %q, note %q; want %q, %q, %q, %q", got.Content, got.Format, got.Kid, got.Note, c.content, c.format, c.kid, c.note)
			}
			if strings.Contains(fmt.Sprintf("%#v", got), "secret") {
				t.Errorf("the value is dumped: %#v", got)
			}
			if got.Content == runbook.ContentKeys && got.Kid != "" && got.Set.Keys[0].Kid != got.Kid {
				t.Errorf("the key's kid is %q", got.Set.Keys[0].Kid)
			}
			if got.Set.Keys == nil || got.Set.Problems == nil || got.Set.Shape == "" {
				t.Errorf("incomplete set: %#v", got.Set)
			}
		})
	}
}

func TestDecodeCollections(t *testing.T) {
	part := func(field string, value any) runbook.RawPart {
		return runbook.RawPart{Field: field, Value: []byte(fmt.Sprint(value))}
	}
	k := good("a")
	for _, c := range []struct {
		name   string
		entry  runbook.RawEntry
		format string
		kids   string
	}{
		{"hash per kid", runbook.RawEntry{Type: "hash", Name: "jwks", Parts: []runbook.RawPart{part("k/1", k.without("kid")), part("b", ecKey("b"))}}, "hash from kid to key > JSON key", "k/1 b"},
		{"hash of pem", runbook.RawEntry{Type: "hash", Name: "jwks", Parts: []runbook.RawPart{part("k1", publicPEM())}}, "hash from kid to key > PEM", "k1"},
		{"hash is a key", runbook.RawEntry{Type: "hash", Name: "JwtPublicKey:k1", Parts: []runbook.RawPart{part("kty", "RSA"), part("n", k[9]), part("e", "AQAB"), part("use", "sig"), part("alg", "RS256")}}, "hash with the members of a key", "k1"},
		{"set", runbook.RawEntry{Type: "set", Name: "jwks", Parts: []runbook.RawPart{part("", k), part("", "rubbish"), part("", ecKey("b"))}}, "set of keys > JSON key", "a b"},
		{"zset", runbook.RawEntry{Type: "zset", Name: "jwks", Parts: []runbook.RawPart{part(k.String(), "")}}, "zset of keys > JSON key", "a"},
		{"list of PHP", runbook.RawEntry{Type: "list", Name: "jwks", Parts: []runbook.RawPart{part("", php(plainValue(k.String())))}}, "list of keys > PHP serialize > JSON key", "a"},
	} {
		got := decoded(c.entry)
		var kids []string
		for _, key := range got.Set.Keys {
			kids = append(kids, key.Kid)
			if !key.Usable {
				t.Errorf("%s: %q", c.name, key.Problems)
			}
		}
		if got.Content != runbook.ContentKeys || got.Format != c.format || strings.Join(kids, " ") != c.kids {
			t.Errorf("%s: %q %q %q: %q", c.name, got.Content, got.Format, kids, got.Set.Problems)
		}
	}
	beside := decoded(runbook.RawEntry{Type: "hash", Name: "jwks", Parts: []runbook.RawPart{part("jwks", set(k)), part("fetched_at", "2026-01-02T03:04:05Z"), part("issuer", "https://issuer.example")}})
	if beside.Content != runbook.ContentKeys || len(beside.Set.Problems) > 0 || beside.Issuer != "https://issuer.example" || beside.Written.Year() != 2026 {
		t.Errorf("hash with fields beside the keys: %+v", beside)
	}
	got := decoded(runbook.RawEntry{Type: "set", Parts: []runbook.RawPart{part("", "<html>"), part("", "x")}})
	if got.Content != runbook.ContentPoison || !strings.Contains(got.Note, "member 1: an HTML") {
		t.Errorf("set of rubbish: %+v", got)
	}
	if got = decoded(runbook.RawEntry{Type: "stream", Bytes: 10, Parts: []runbook.RawPart{part("", "x")}}); got.Content != runbook.ContentUnknown {
		t.Errorf("stream: %+v", got)
	}
	if got = decoded(runbook.RawEntry{Type: "string", Bytes: 9 << 20, Unread: "too large: 9,437,184 bytes, not read"}); got.Content != runbook.ContentUnknown || !strings.Contains(got.Note, "too large") {
		t.Errorf("not read: %+v", got)
	}
}

// TestDecodeForeign reads what Java 17 and Python 3 wrote, as they wrote it.
func TestDecodeForeign(t *testing.T) {
	for name, c := range map[string]struct{ value, written string }{
		"Java object":          {value: "rO0ABXNyAAZNJEp3a3MAAAAAAAAAAQIAAkoACWZldGNoZWRBdEwABGtleXN0ABBMamF2YS91dGlsL0xpc3Q7eHAAAAAAZVPxAHNyABNqYXZhLnV0aWwuQXJyYXlMaXN0eIHSHZnHYZ0DAAFJAARzaXpleHAAAAABdwQAAAABc3IABU0kSndrAAAAAAAAAAECAARMAAFldAASTGphdmEvbGFuZy9TdHJpbmc7TAADa2lkcQB+AAZMAANrdHlxAH4ABkwAAW5xAH4ABnhwdAAEQVFBQnQAAmsxdAADUlNBdAADTk5OeA==", written: "2023-11-14"},
		"Java maps":            {value: "rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcAUH2sHDFmDRAwACRgAKbG9hZEZhY3RvckkACXRocmVzaG9sZHhwP0AAAAAAAAx3CAAAABAAAAABdAAEa2V5c3NyABNqYXZhLnV0aWwuQXJyYXlMaXN0eIHSHZnHYZ0DAAFJAARzaXpleHAAAAABdwQAAAABc3IAF2phdmEudXRpbC5MaW5rZWRIYXNoTWFwNMBOXBBswPsCAAFaAAthY2Nlc3NPcmRlcnhxAH4AAD9AAAAAAAAMdwgAAAAQAAAABHQAA2t0eXQAA1JTQXQAA2tpZHQAAmsxdAABbnQAA05OTnQAAWV0AARBUUFCeAB4eA=="},
		"Java immutable":       {value: "rO0ABXNyABFqYXZhLnV0aWwuQ29sbFNlcleOq7Y6G6gRAwABSQADdGFneHAAAAADdwQAAAACdAAEa2V5c3NxAH4AAAAAAAF3BAAAAAFzcQB+AAAAAAADdwQAAAAEdAADa3R5dAADUlNBdAADa2lkdAACazF4eHg="},
		"Python dict":          {value: "gAWVPgAAAAAAAAB9lIwEa2V5c5RdlH2UKIwDa3R5lIwDUlNBlIwDa2lklIwCazGUjAFulIwDTk5OlIwBZZSMBEFRQUKUdWFzLg=="},
		"Python list of tuple": {value: "gAJdcQB9cQEoWAMAAABrdHlxAlgDAAAAUlNBcQNYAwAAAGtpZHEEWAIAAABrMXEFWAEAAABucQZYAwAAAE5OTnEHWAEAAABlcQhYBAAAAEFRQUJxCXVhLg=="},
		"Python envelope":      {value: "gASVjQAAAAAAAAB9lCiMBGp3a3OUfZSMBGtleXOUXZR9lCiMA2t0eZSMA1JTQZSMA2tpZJSMAmsxlIwBbpSMA05OTpSMAWWUjARBUUFClHVhc4wKZmV0Y2hlZF9hdJRHQdlU/EAgAACMAmF0lIwIZGF0ZXRpbWWUjAhkYXRldGltZZSTlEMKB+oBAQAAAAAAAJSFlFKUdS4=", written: "2023-11-14"},
		"Python ordered":       {value: "gASVXAAAAAAAAAB9lIwEa2V5c5SMC2NvbGxlY3Rpb25zlIwLT3JkZXJlZERpY3SUk5QpUpQojANrdHmUjANSU0GUjANraWSUjAJrMZSMAW6UjANOTk6UjAFllIwEQVFBQpR1hZRzLg=="},
	} {
		b, err := base64.StdEncoding.DecodeString(c.value)
		if err != nil {
			t.Fatal(err)
		}
		got := decoded(stringEntry(string(b)))
		if got.Content != runbook.ContentKeys || len(got.Set.Keys) != 1 || got.Set.Keys[0].Kid != "k1" || got.Set.Keys[0].Kty != "RSA" {
			t.Errorf("%s: %+v", name, got)
		}
		if c.written != "" && got.Written.Format(time.DateOnly) != c.written {
			t.Errorf("%s: written %v", name, got.Written)
		}
	}
}

// TestPickleRunsNothing: a pickle that would call a function in Python is read
// as data or refused.
func TestPickleRunsNothing(t *testing.T) {
	for _, evil := range []string{
		"\x80\x04cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
		"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.",
	} {
		if got := decoded(stringEntry(evil)); got.Content != runbook.ContentPoison {
			t.Errorf("%+v", got)
		}
	}
}

// TestSerialisedBombs: references that multiply or refer to themselves, and
// claimed lengths that are not there, end early.
func TestSerialisedBombs(t *testing.T) {
	laughs := "\x80\x04]q\x00(" + strings.Repeat("X"+u32(50)+strings.Repeat("x", 50), 10) + "e"
	for i := range 20 {
		laughs += fmt.Sprintf("0]q%c(", i+1) + strings.Repeat(fmt.Sprintf("h%c", i), 10) + "e"
	}
	for name, bomb := range map[string]string{
		"pickle billion laughs": laughs + ".",
		"pickle of itself":      "\x80\x04]q\x00h\x00a.",
		"pickle depth":          "\x80\x04" + strings.Repeat("](", 1<<16) + strings.Repeat("e", 1<<16) + ".",
		"php depth":             strings.Repeat("a:1:{i:0;", 1<<16),
		"php length":            `a:9999999999:{i:0;i:0;}`,
		"php text length":       `s:9223372036854775807:"x";`,
		"ruby depth":            "\x04\x08" + strings.Repeat("[\x06", 1<<16),
		"ruby length":           "\x04\x08[\x04\xff\xff\xff\x7f0",
		"java depth":            "\xac\xed\x00\x05" + strings.Repeat("\x73\x72\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00", 1<<15),
		"java length":           "\xac\xed\x00\x05\x7c\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		if got := decoded(stringEntry(bomb)); got.Content != runbook.ContentUnknown && got.Content != runbook.ContentPoison {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestCompressedMonsters: what is small in the cache stays within the memory
// that one value may take, whatever it claims or becomes.
func TestCompressedMonsters(t *testing.T) {
	keys := make([]object, 12_000)
	for i := range keys {
		keys[i] = good(fmt.Sprintf("kid-%d", i))
	}
	many := set(keys...)[:maxInflated-100]
	for name, pack := range map[string]func(string) string{"gzip": gz, "zlib": zl, "zstd": zst} {
		for what, value := range map[string]string{
			"brackets":        pack(strings.Repeat("[", maxInflated)),
			"keys, cut off":   pack(many),
			"too large":       pack(strings.Repeat("x", 8<<20)),
			"in all the ways": pack(zst(zl(gz(pack(strings.Repeat("[", maxInflated)))))),
			"pickled":         pack("\x80\x03B" + u32(len(many)) + many + "q\x00."),
		} {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			got := decoded(stringEntry(value))
			runtime.ReadMemStats(&after)
			if got.Content != runbook.ContentPoison && got.Content != runbook.ContentUnknown {
				t.Errorf("%s, %s: %s", name, what, got.Content)
			}
			// All that was ever allocated, freed or not, is above the peak.
			if total := after.TotalAlloc - before.TotalAlloc; total > 64<<20 {
				t.Errorf("%s, %s: allocates %d MiB", name, what, total>>20)
			}
		}
	}
}

// TestDecodeNeverPanics feeds damaged forms of everything that is readable.
func TestDecodeNeverPanics(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	doc := set(good("a"), ecKey("b").with("x5c", []string{base64.StdEncoding.EncodeToString(keyMaterial().cert)}))
	for _, w := range wrappings() {
		e := w.wrap(doc)
		for range 200 {
			damaged := e
			damaged.Value = bytes.Clone(e.Value)
			if len(damaged.Value) > 0 {
				damaged.Value[r.IntN(min(len(damaged.Value), 200))] = byte(r.Uint32())
				damaged.Value = damaged.Value[:len(damaged.Value)-r.IntN(3)]
			}
			decoded(damaged)
		}
	}
}

// decoded reads an entry with the budget that a check gives it.
func decoded(e runbook.RawEntry) runbook.Reading {
	return Decode(e, budget.New(context.Background(), budget.EntryLimits(e.Size())))
}
