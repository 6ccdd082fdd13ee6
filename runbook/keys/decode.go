package keys

import (
	"fmt"
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
)

// maxUnwrap is the number of encodings around one value: an object of a
// language that holds compressed JSON in a string has three.
const maxUnwrap = 6

// decoder takes one encoding off a stored value. What it returns is looked at
// again, so that any format can stand inside any other. Nothing is ever
// executed, and no type is built that the bytes name.
type decoder struct {
	name    string
	matches func(value []byte) bool
	unwrap  func(value []byte, b *budget.Budget) ([]byte, error)
}

// decoders are the encodings that applications put around key sets. To read
// another one, add a row; the order matters only where two of them match.
var decoders = []decoder{
	{"gzip", startsWith("\x1f\x8b"), gunzip},
	{"zlib", isZlib, inflate},
	{"zstd", startsWith("\x28\xb5\x2f\xfd"), unzstd},
	{"PHP serialize", isPHP, unphp},
	{"Python pickle", isPickle, unpickle},
	{"Java serialisation", isJava, unjava},
	{"Rails cache entry", isRails, unrails},
	{"Ruby Marshal", isRuby, unruby},
}

// Decode says what one cache entry holds. It never fails: bytes that no decoder
// fits are described, never shown, and what costs more than the budget is not
// decoded, which the reading says.
func Decode(e runbook.RawEntry, b *budget.Budget) runbook.Reading {
	d, kid := newDocument(b), kidOf(e.Name)
	var err error
	switch {
	case e.Unread != "":
		return runbook.UnreadReading(e.Unread, kid)
	case e.Type == "" || e.Type == "string":
		err = d.stored(e.Value, 0, 0, kid)
	default:
		err = d.collection(e)
	}
	r := d.reading(e, kid, err)
	if b.Spent() {
		return runbook.UnreadReading("not decoded: "+b.Why(), kid)
	}
	return r
}

// stored takes off encodings until a document is left, and reads that.
func (d *document) stored(value []byte, layers, depth int, kid string) error {
	if !d.budget.Steps(len(value)) {
		return errSpent
	}
	for _, row := range decoders {
		if !row.matches(value) {
			continue
		}
		if layers == maxUnwrap {
			return fmt.Errorf("encoded more than %d times", maxUnwrap)
		}
		d.path = append(d.path, row.name)
		inner, err := row.unwrap(value, d.budget)
		if err != nil {
			d.nature = natureBinary
			return fmt.Errorf("%s: %w", row.name, err)
		}
		return d.stored(inner, layers+1, depth, kid)
	}
	d.inside = value
	return d.text(value, depth, kid)
}

// reading sums up a document as the reading of an entry.
func (d *document) reading(e runbook.RawEntry, kid string, err error) runbook.Reading {
	d.conclude(err)
	r := runbook.Reading{Set: d.set, Issuer: d.issuer, Written: d.written}
	r.Content, r.Note = d.content(e)
	if r.Content == runbook.ContentPoison || r.Content == runbook.ContentUnknown || r.Content == runbook.ContentEmpty && err != nil {
		if marker, about := negative(e.Name, d.inside, kid); marker && len(d.set.Keys) == 0 {
			r.Content, r.Kid, r.Note = runbook.ContentNegative, about, "a marker that a kid does not exist"
			d.path = []string{"negative marker"}
		} else {
			d.path = append(d.path, d.describe())
		}
	}
	if r.Content == runbook.ContentKeys && d.single {
		r.Kid = kid
		if own := d.set.Keys[0].Kid; own != "" {
			r.Kid = own
		}
	}
	r.Format = strings.Join(d.path, " > ")
	return r
}

// content sorts what was read.
func (d *document) content(e runbook.RawEntry) (runbook.Content, string) {
	size := max(e.Bytes, len(e.Value))
	note := fmt.Sprintf("%s, %d bytes", d.describe(), size)
	if n := len(d.set.Problems); n > 0 && d.nature != natureHTML && d.nature != natureNothing && d.set.Problems[n-1] != runbook.ProblemEmptySet &&
		!strings.HasSuffix(d.set.Problems[n-1], " bytes of binary data, not JSON") { // the nature says that already
		note += ": " + d.set.Problems[n-1]
	}
	switch {
	case d.broken:
		return runbook.ContentPoison, note
	case len(d.set.Keys) > 0:
		return runbook.ContentKeys, ""
	case d.set.Shape != runbook.ShapeUnreadable, d.nature == natureNothing, d.nature == natureNull:
		return runbook.ContentEmpty, note
	case d.nature == natureBinary, d.nature == natureOpaque, d.nature == "":
		return runbook.ContentUnknown, note
	}
	return runbook.ContentPoison, note
}

func (d *document) describe() string {
	switch {
	case d.nature != "":
		return string(d.nature)
	case len(d.set.Keys) == 0 && d.set.Shape != runbook.ShapeUnreadable:
		return "key set without keys"
	case d.broken:
		return "key set with something after it"
	}
	return "unknown bytes"
}
