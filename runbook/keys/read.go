package keys

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"jwksbot/runbook"
)

// Limits of a document. A pool publishes two keys in about 1 KiB; the largest
// set seen in public had a few hundred.
const (
	maxDocument = 8 << 20
	maxKeys     = 20_000
	maxDepth    = 6 // wrappings around the keys: strings, envelopes
)

// document is a text being read.
type document struct {
	set     runbook.KeySet
	broken  bool      // the text goes on after the document: no JSON parser takes it
	over    bool      // there were more than maxKeys
	single  bool      // it is one bare key
	path    []string  // the wrappings around the keys, from outside
	issuer  string    // that an envelope names
	written time.Time // that an envelope names
	inside  []byte    // a stored value without its encodings
	nature  nature    // what an unreadable text is
}

// nature is what a text without keys turned out to be.
type nature string

const (
	natureNothing nature = "nothing"
	natureHTML    nature = "HTML page"
	natureJSON    nature = "JSON that is no key set"
	natureNull    nature = "JSON null"
	natureCut     nature = "JSON that is cut off"
	natureText    nature = "text"
	natureOpaque  nature = "opaque text"
	natureBinary  nature = "binary data"
)

// Read reads a document that should hold keys, key by key. What is wrong with
// the document as a whole is in the set's problems, what is wrong with a key in
// the key's.
func Read(b []byte) runbook.KeySet { return readDocument(b, "").set }

// readDocument reads a document; kid is for a single key that has none.
func readDocument(b []byte, kid string) *document {
	d := newDocument()
	d.conclude(d.text(b, 0, kid))
	return d
}

func newDocument() *document {
	return &document{set: runbook.KeySet{Keys: []runbook.Key{}, Problems: []string{}}}
}

// conclude ends the reading of a document: with the error that says why there
// are no keys, or with what only the whole document can tell.
func (d *document) conclude(err error) {
	if err == nil {
		d.finish()
		return
	}
	d.set.Shape, d.set.Keys = runbook.ShapeUnreadable, []runbook.Key{}
	d.problem("%s", err)
}

func (d *document) problem(format string, args ...any) {
	d.set.Problems = append(d.set.Problems, fmt.Sprintf(format, args...))
}

// shape records how the keys are wrapped; the outermost wrapping names it.
func (d *document) shape(s string, depth int) {
	if depth == 0 {
		d.set.Shape = s
	}
}

// add takes one key in; it returns false when no more are taken.
func (d *document) add(j judged) bool {
	if len(d.set.Keys) == maxKeys {
		if !d.over {
			d.over = true
			d.problem("more than %d keys: the rest was not read", maxKeys)
		}
		return false
	}
	d.set.Keys = append(d.set.Keys, j.key)
	d.set.PrivatePublished = d.set.PrivatePublished || j.private
	d.set.SymmetricPublished = d.set.SymmetricPublished || j.symmetric
	return true
}

// finish draws what only the whole document can tell.
func (d *document) finish() {
	d.markDuplicates()
	if len(d.set.Keys) == 0 {
		d.problem(runbook.ProblemEmptySet)
	}
	for i := range d.set.Keys {
		k := &d.set.Keys[i]
		k.Usable = k.Usable && !d.broken
		if k.Usable {
			d.set.Usable++
		}
	}
}

// markDuplicates notes kids that name more than one key.
func (d *document) markDuplicates() {
	first := make(map[string]int, len(d.set.Keys))
	told := map[int]bool{}
	for i := range d.set.Keys {
		kid := d.set.Keys[i].Kid
		if kid == "" {
			continue
		}
		j, taken := first[kid]
		if !taken {
			first[kid] = i
			continue
		}
		d.note(i, "member kid: duplicate kid, key %d has it too", j+1)
		if !told[j] {
			told[j] = true
			d.note(j, "member kid: duplicate kid, key %d has it too", i+1)
		}
	}
}

func (d *document) note(i int, format string, args ...any) {
	k := &d.set.Keys[i]
	k.Problems = append(k.Problems, placeOf(i+1, k.Kid)+": "+fmt.Sprintf(format, args...))
}

// text reads a text of unknown kind.
func (d *document) text(b []byte, depth int, kid string) error {
	if len(b) > maxDocument {
		return fmt.Errorf("%d bytes, larger than %d MiB: not read", len(b), maxDocument>>20)
	}
	if depth > maxDepth {
		return fmt.Errorf("wrapped more than %d times", maxDepth)
	}
	if t := bytes.TrimPrefix(b, []byte("\ufeff")); len(t) != len(b) {
		d.problem("begins with a byte order mark, which many parsers refuse")
		b = t
	}
	trimmed := bytes.TrimSpace(b)
	switch {
	case len(trimmed) == 0:
		d.nature = natureNothing
		return fmt.Errorf("empty: %d bytes, none of them text", len(b))
	case bytes.HasPrefix(trimmed, pemBegin):
		d.shape(runbook.ShapePEM, depth)
		d.path = append(d.path, "PEM")
		err := d.pem(trimmed, kid)
		d.single = err == nil && len(d.set.Keys) == 1
		return err
	case trimmed[0] == '<':
		d.nature = natureHTML
		return fmt.Errorf("an HTML or XML page of %d bytes, not JSON", len(b))
	}
	s := &scanner{b: b}
	if err := s.value(); err != nil {
		return d.notJSON(b, err)
	}
	end := s.i
	if s.space(); s.i < len(b) {
		defer d.trailing(b[s.i:])
	}
	return d.value(bytes.TrimSpace(b[:end]), depth, kid)
}

// notJSON says what a text is that is no JSON.
func (d *document) notJSON(b []byte, err *jsonError) error {
	first := bytes.TrimSpace(b)[0]
	switch {
	case !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0:
		d.nature = natureBinary
		return fmt.Errorf("%d bytes of %s, not JSON", len(b), binaryKind(b))
	case err.cut && strings.IndexByte(`{["`, first) >= 0:
		d.nature = natureCut
	case len(b) > 32 && len(bytes.Fields(b)) == 1:
		d.nature = natureOpaque // a token, base64, something encrypted
	default:
		d.nature = natureText
	}
	return errors.New(err.describe(b))
}

// trailing notes what follows a complete document.
func (d *document) trailing(rest []byte) {
	d.broken = true
	what := "other text"
	if s := (&scanner{b: rest}); s.value() == nil {
		what = "a second document"
	}
	d.problem("after the document: %d bytes of %s, JSON parsers refuse the whole", len(rest), what)
}

// value reads one JSON value.
func (d *document) value(raw []byte, depth int, kid string) error {
	switch raw[0] {
	case '{':
		return d.object(raw, depth, kid)
	case '[':
		return d.array(raw, depth)
	case '"':
		d.shape(runbook.ShapeString, depth)
		d.path = append(d.path, "JSON string")
		return d.inner(unquoteBytes(raw), depth, kid)
	}
	d.nature = natureJSON
	if raw[0] == 'n' {
		d.nature = natureNull
	}
	return fmt.Errorf("JSON, but no keys: %s", kind(raw))
}

// inner reads the text inside a string.
func (d *document) inner(b []byte, depth int, kid string) error {
	if err := d.text(b, depth+1, kid); err != nil {
		return fmt.Errorf("inside a string: %w", err)
	}
	return nil
}

// array reads keys without the wrapper of a set. Elements that are strings hold
// a key as text.
func (d *document) array(raw []byte, depth int) error {
	raw = untyped(raw)
	found, total := false, 0
	elements(raw, func(v []byte) bool {
		total++
		found = found || looksLikeKey(v)
		return !found
	})
	if total > 0 && !found {
		d.nature = natureJSON
		return fmt.Errorf("JSON, but no keys: an array of other things, the first is %s", firstKind(raw))
	}
	d.shape(runbook.ShapeArray, depth)
	d.path = append(d.path, "JSON array of keys")
	d.elements(raw)
	return nil
}

func firstKind(raw []byte) (first string) {
	elements(raw, func(v []byte) bool { first = kind(v); return false })
	return first
}

func (d *document) elements(raw []byte) {
	var list [][]byte
	elements(raw, func(v []byte) bool {
		list = append(list, v)
		return len(list) <= maxKeys // one more, so that add can say that there are more
	})
	d.set.Keys = slices.Grow(d.set.Keys, len(list))
	for _, j := range judgeAll(list, len(d.set.Keys)+1) {
		if !d.add(j) {
			return
		}
	}
}

// manyKeys is the number of keys from which on all processors are put to work:
// thumbprints of thousands of keys take tens of milliseconds.
const manyKeys = 256

// judgeAll reads every key on its own; first is the number of the first one.
func judgeAll(list [][]byte, first int) []judged {
	out := make([]judged, len(list))
	part := func(from, to int) {
		for i := from; i < to; i++ {
			out[i] = readKey(list[i], origin{index: first + i})
		}
	}
	workers := runtime.GOMAXPROCS(0)
	if len(list) < manyKeys || workers == 1 {
		part(0, len(list))
		return out
	}
	var wg sync.WaitGroup
	size := (len(list) + workers - 1) / workers
	for from := 0; from < len(list); from += size {
		wg.Go(func() { part(from, min(from+size, len(list))) })
	}
	wg.Wait()
	return out
}

// looksLikeKey says that an object has the members of a key.
func looksLikeKey(raw []byte) bool {
	if raw[0] != '{' {
		return false
	}
	var names []string
	members(raw, func(name string, _ []byte) {
		if len(name) <= 3 && len(names) < maxMembers {
			names = append(names, name)
		}
	})
	has := func(n string) bool { return slices.Contains(names, n) }
	return has("kty") || has("n") && has("e") || has("crv") && has("x") || has("x5c")
}
