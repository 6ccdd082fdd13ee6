// Package hostiletest makes cache entries that want to hurt whoever decodes
// them: few bytes that stand for much memory or much work. Each family attacks
// one decoder; a seed varies it, so that a test can ask for hundreds.
package hostiletest

import (
	"fmt"
	"math/rand/v2"

	"jwksbot/runbook"
)

// family makes one kind of attack of about the given number of bytes.
type family struct {
	name string
	make func(r *rand.Rand, size int) runbook.RawEntry
}

// families are all kinds, by decoder. To add one, add a row.
var families = []family{
	{"pickle: states that grow like Fibonacci numbers", text(pickleStates)},
	{"pickle: lists of lists of references", text(pickleDoubling)},
	{"pickle: tuples of duplicates", text(pickleTuples)},
	{"pickle: one string many times", text(pickleString)},
	{"pickle: long numbers", text(pickleNumbers)},
	{"ruby: a long bignum", text(rubyBignum)},
	{"ruby: arrays of links", text(rubyLinks)},
	{"ruby: one symbol many times", text(rubySymbols)},
	{"rails: compressed links", text(railsLinks)},
	{"java: a class that is its own parent", text(javaParents)},
	{"java: arrays of back references", text(javaReferences)},
	{"java: one string many times", text(javaStrings)},
	{"php: deep arrays", text(phpDeep)},
	{"php: many empty values", text(phpWide)},
	{"php: long numbers", text(phpNumbers)},
	{"gzip: a bomb", text(gzipBomb)},
	{"gzip: many empty members", text(gzipMembers)},
	{"gzip: in gzip in gzip", text(gzipNested)},
	{"zlib: pickled bomb", text(zlibPickle)},
	{"zlib: tables without content", text(zlibTables)},
	{"zstd: a bomb", text(zstdBomb)},
	{"zstd: a large window", text(zstdWindow)},
	{"zstd: many frames", text(zstdFrames)},
	{"json: deep", text(jsonDeep)},
	{"json: keys without members", text(jsonHollow)},
	{"json: one member many times", text(jsonTwice)},
	{"json: envelopes in envelopes", text(jsonEnvelopes)},
	{"json: strings in strings", text(jsonStrings)},
	{"json: deep and wide metadata", text(jsonMetadata)},
	{"json: a modulus of a megabit", text(jsonModulus)},
	{"json: points on a curve", text(jsonPoints)},
	{"json: certificates", text(jsonCertificates)},
	{"json: base64 with spaces", text(jsonSpaces)},
	{"json: numbers with exponents", text(jsonNumbers)},
	{"json: bytes that are no UTF-8", text(jsonInvalid)},
	{"pem: blocks without an end", text(pemEndless)},
	{"pem: many empty blocks", text(pemBlocks)},
	{"hash: thousands of fields", hashOfRubbish},
	{"hash: thousands of fields of one key", hashKey},
	{"list: bombs", listOfBombs},
	{"set: thousands of members", setOfRubbish},
}

// Names lists the families.
func Names() []string {
	out := make([]string, len(families))
	for i, f := range families {
		out[i] = f.name
	}
	return out
}

// Crafted makes n entries of about size bytes, of each family in turn.
func Crafted(seed uint64, n, size int) []runbook.RawEntry {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]runbook.RawEntry, n)
	for i := range out {
		f := families[i%len(families)]
		out[i] = f.make(r, size)
		out[i].Name = fmt.Sprintf("jwks:crafted:%d:%04d %s", size, i, f.name)
		out[i].Bytes = out[i].Size()
	}
	return out
}

// magic are the beginnings by which decoders know their bytes.
var magic = []string{"\x1f\x8b\x08", "\x78\x9c", "\x28\xb5\x2f\xfd", "\x80\x04", "!\x80\x05", "\xac\xed\x00\x05", "\x00\x11", "\x04\x08",
	"a:9:{", "s:99:\"", "O:1:\"A\":9:{", "{\"keys\":[{", "[", "\"", "-----BEGIN ", "<", ""}

// Random makes n strings of size random bytes, most of which begin as a decoder
// expects it.
func Random(seed uint64, n, size int) []runbook.RawEntry {
	r := rand.New(rand.NewPCG(seed, 2))
	out := make([]runbook.RawEntry, n)
	for i := range out {
		b := []byte(magic[i%len(magic)])
		for len(b) < size {
			b = append(b, byte(r.Uint32()))
		}
		if i%len(magic) == 3 || i%len(magic) == 4 {
			b[len(b)-1] = '.' // a pickle is known by its end as well
		}
		out[i] = runbook.RawEntry{Name: fmt.Sprintf("jwks:random:%04d", i), Type: "string", Value: b, Bytes: len(b)}
	}
	return out
}

// text makes a string of what a family writes.
func text(write func(r *rand.Rand, size int) string) func(*rand.Rand, int) runbook.RawEntry {
	return func(r *rand.Rand, size int) runbook.RawEntry {
		return runbook.RawEntry{Type: "string", Value: []byte(write(r, size))}
	}
}
