package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
)

// Limits of a document. A pool publishes two keys in about 1 KiB; the largest
// set seen in public had a few hundred.
const (
	maxDocument = 8 << 20
	maxKeys     = 20_000
	maxDepth    = 6   // wrappings around the keys: strings, envelopes
	maxProblems = 100 // of the document as a whole
)

// document is a text being read.
type document struct {
	budget  *budget.Budget
	set     runbook.KeySet
	broken  bool      // the text goes on after the document: no JSON parser takes it
	over    bool      // there were more than maxKeys
	untold  int       // problems beyond maxProblems
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
	natureJSON    nature = "JSON that is not a key set"
	natureNull    nature = "JSON null"
	natureCut     nature = "JSON that is cut off"
	natureText    nature = "text"
	natureOpaque  nature = "opaque text"
	natureBinary  nature = "binary data"
)

// Read reads a document that should hold keys, key by key. What is wrong with
// the document as a whole is in the set's problems, what is wrong with a key in
// the key's.
func Read(b []byte) runbook.KeySet {
	return readDocument(budget.New(context.Background(), fileLimits(len(b))), b).set
}

// fileTime is for a file of the largest size on a busy machine.
const fileTime = 20 * time.Second

// fileLimits are for a document that somebody asked for by itself.
func fileLimits(size int) budget.Limits {
	return budget.Limits{Bytes: 4<<20 + 64*int64(size), Steps: 1_000_000 + 256*int64(size), Time: fileTime}
}

// readDocument reads a document.
func readDocument(b *budget.Budget, text []byte) *document {
	d := newDocument(b)
	err := d.text(text, 0, "")
	if d.budget.Spent() {
		err = errors.New("not read to the end: it " + d.budget.Why())
	}
	d.conclude(err)
	return d
}

func newDocument(b *budget.Budget) *document {
	return &document{budget: b, set: runbook.KeySet{Keys: []runbook.Key{}, Problems: []string{}}}
}

// conclude ends the reading of a document: with the error that says why there
// are no keys, or with what only the whole document can tell.
func (d *document) conclude(err error) {
	if d.untold > 0 {
		d.set.Problems = append(d.set.Problems, fmt.Sprintf("and %d more problems", d.untold))
	}
	if err == nil {
		d.finish()
		return
	}
	d.set.Shape, d.set.Keys = runbook.ShapeUnreadable, []runbook.Key{}
	d.set.Problems = append(d.set.Problems, err.Error())
}

// problem notes what is wrong with the document as a whole. Of thousands the
// first are told.
func (d *document) problem(format string, args ...any) {
	if len(d.set.Problems) >= maxProblems {
		d.untold++
		return
	}
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
		d.set.Problems = append(d.set.Problems, runbook.ProblemEmptySet)
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
	if !d.budget.Steps(4*len(b)) || !d.budget.Bytes(len(b)) {
		return errSpent
	}
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
	case len(b) > 32 && !bytes.ContainsAny(bytes.TrimSpace(b), " \t\r\n"):
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
		if !d.budget.Bytes(unquotedBytes * len(raw)) {
			return errSpent
		}
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
	if !d.budget.Steps(passes * len(raw)) {
		return errSpent
	}
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
	return d.elements(raw)
}

// Costs of reading JSON, generously measured.
const (
	passes        = 8      // steps for each byte of an object or array: it is looked over several times
	unquotedBytes = 4      // memory for each byte of a string with escapes
	keyBytes      = 1280   // memory for a key, beside its text
	keySteps      = 30_000 // for the thumbprint, and whether the point is on the curve
	hollowSteps   = 2_000  // for something that is too short to be a key
	hollow        = 40     // bytes that no key is shorter than
	keyTextSteps  = 64     // for each byte: members are compared with each other
	keyTextBytes  = 6      // memory for each byte
	partBytes     = 512    // memory for a part that is tried and holds nothing
	partSteps     = 1_000  // work for it
)

// affordKey charges a key before it is read.
func affordKey(b *budget.Budget, raw []byte) bool {
	steps := keySteps
	if len(raw) < hollow {
		steps = hollowSteps
	}
	return b.Steps(steps+keyTextSteps*len(raw)) && b.Bytes(keyBytes+keyTextBytes*len(raw))
}

func firstKind(raw []byte) (first string) {
	elements(raw, func(v []byte) bool { first = kind(v); return false })
	return first
}

func (d *document) elements(raw []byte) error {
	var list [][]byte
	elements(raw, func(v []byte) bool {
		if !affordKey(d.budget, v) {
			return false
		}
		list = append(list, v)
		return len(list) <= maxKeys // one more, so that add can say that there are more
	})
	if d.budget.Spent() {
		return errSpent
	}
	d.set.Keys = slices.Grow(d.set.Keys, len(list))
	for _, j := range judgeAll(d.budget, list, len(d.set.Keys)+1) {
		if !d.add(j) {
			break
		}
	}
	return nil
}

// manyKeys is the number of keys from which on all processors are put to work:
// thumbprints of thousands of keys take tens of milliseconds.
const manyKeys = 256

// judgeAll reads every key on its own; first is the number of the first one.
func judgeAll(b *budget.Budget, list [][]byte, first int) []judged {
	out := make([]judged, len(list))
	part := func(from, to int) {
		for i := from; i < to; i++ {
			out[i] = readKey(b, list[i], origin{index: first + i})
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
