package hostiletest

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"jwksbot/runbook"
)

func pack(s string, open func(io.Writer) io.WriteCloser) string {
	var b bytes.Buffer
	w := open(&b)
	if _, err := io.WriteString(w, s); err != nil {
		panic(err) // a buffer takes everything
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

func deflated(s string) string {
	return pack(s, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
}

func gzipped(s string) string {
	return pack(s, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

// gzipBomb is compressed at about 1 to 1000.
func gzipBomb(r *rand.Rand, size int) string {
	return gzipped(strings.Repeat(string([]byte{byte(r.IntN(256))}), 1000*min(size, 8<<10)))
}

func gzipMembers(_ *rand.Rand, size int) string {
	return strings.Repeat(gzipped(""), size/23)
}

func gzipNested(r *rand.Rand, size int) string {
	s := gzipBomb(r, size)
	for range 4 {
		s = gzipped(s)
	}
	return s
}

func zlibPickle(r *rand.Rand, size int) string {
	return deflated(pickleStates(r, 20*min(size, 64<<10)))
}

// zlibTables are blocks that describe Huffman tables and hold nothing. What a
// compressor writes is cut behind the tables of its first block, again and again.
func zlibTables(r *rand.Rand, size int) string {
	var words strings.Builder
	for range 400 {
		fmt.Fprintf(&words, "%x", r.Uint32()%uint32(1+r.IntN(1<<16)))
	}
	block := pack(words.String(), func(w io.Writer) io.WriteCloser {
		f, err := flate.NewWriter(w, flate.HuffmanOnly)
		if err != nil {
			panic(err)
		}
		return f
	})
	return "\x78\x9c" + strings.Repeat(block[:min(60, len(block))], size/60+1)
}

// zstdBomb is one frame of RLE blocks (RFC 8878 section 3.1.1.2): four bytes
// each that stand for 128 KiB.
func zstdBomb(_ *rand.Rand, size int) string {
	const rle = 131071<<3 | 1<<1
	block := string([]byte{rle & 0xff, rle >> 8 & 0xff, rle >> 16, ' '})
	return "\x28\xb5\x2f\xfd\x00\x58" + strings.Repeat(block, size/4) + "\x01\x00\x00"
}

// zstdWindow asks for a window of up to 8 MiB and holds nothing.
func zstdWindow(r *rand.Rand, size int) string {
	return "\x28\xb5\x2f\xfd\x00" + string([]byte{byte(0x50 + 8*r.IntN(12))}) + "\x01\x00\x00" + strings.Repeat("x", size%3)
}

func zstdFrames(r *rand.Rand, size int) string {
	var b strings.Builder
	for b.Len() < size {
		b.WriteString("\x28\xb5\x2f\xfd\x00" + string([]byte{byte(0x50 + r.IntN(0x18))}) + "\x09\x00\x00x")
	}
	return b.String()
}

func jsonDeep(r *rand.Rand, size int) string {
	open, closing := "[", "]"
	if r.IntN(2) == 0 {
		open, closing = `{"a":`, "}"
	}
	n := size / (len(open) + 1)
	return strings.Repeat(open, n) + "1" + strings.Repeat(closing, n)
}

func jsonHollow(_ *rand.Rand, size int) string {
	return `{"keys":[` + strings.Repeat(`{},`, size/3) + `{}]}`
}

func jsonTwice(r *rand.Rand, size int) string {
	name := []string{"keys", "kid", "x5c", "d", "jwks", "iss"}[r.IntN(6)]
	return `{"kty":"RSA"` + strings.Repeat(`,"`+name+`":[{}]`, size/(len(name)+8)) + "}"
}

func jsonEnvelopes(_ *rand.Rand, size int) string {
	inner := `{"a":1` + strings.Repeat(`,"b":[1]`, size/60) + "}"
	for range 5 {
		inner = `{"jwks":` + inner + strings.Repeat(`,"c":[{}]`, size/60) + "}"
	}
	return inner
}

func jsonStrings(_ *rand.Rand, size int) string {
	s := `{"keys":[{}]}`
	for len(s) < size/2 {
		b, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		s = string(b)
	}
	return s
}

func jsonMetadata(r *rand.Rand, size int) string {
	unit := []string{"[],", "{},", "0,", `{"a":[]},`, `"",`}[r.IntN(5)]
	return `{"keys":[{"kty":"RSA","x":[` + strings.Repeat(unit, size/len(unit)) + `1]}]}`
}

func jsonModulus(_ *rand.Rand, size int) string {
	return `{"keys":[{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", min(size, 16000)) + `"}]}`
}

// jsonPoints are keys that are checked against their curve.
func jsonPoints(_ *rand.Rand, size int) string {
	p := elliptic.P521().Params()
	number := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	key := `{"kty":"EC","crv":"P-521","x":"` + number(p.Gx.FillBytes(make([]byte, 66))) + `","y":"` + number(p.Gy.FillBytes(make([]byte, 66))) + `"}`
	return `{"keys":[` + key + strings.Repeat(","+key, size/len(key)) + `]}`
}

func jsonCertificates(r *rand.Rand, size int) string {
	der := make([]byte, 100)
	for i := range der {
		der[i] = byte(r.Uint32())
	}
	key := `{"kty":"RSA","x5c":["MIIB` + base64.StdEncoding.EncodeToString(der) + `"]}`
	return `{"keys":[` + key + strings.Repeat(","+key, size/len(key)) + `]}`
}

func jsonSpaces(_ *rand.Rand, size int) string {
	return `{"keys":[{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("A ", min(size, 16000)/2) + `"}]}`
}

func jsonNumbers(_ *rand.Rand, size int) string {
	return `{"keys":[{"kty":"RSA","nbf":` + strings.Repeat("9", size/2) + `,"exp":1e` + strings.Repeat("9", size/2) + `}]}`
}

func jsonInvalid(r *rand.Rand, size int) string {
	return `{"keys":[{"kid":"` + strings.Repeat(string([]byte{0x80 + byte(r.IntN(128))}), size) + `"}]}`
}

func pemEndless(_ *rand.Rand, size int) string {
	return strings.Repeat("-----BEGIN PUBLIC KEY-----\n", size/27+1)
}

func pemBlocks(_ *rand.Rand, size int) string {
	block := "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
	return strings.Repeat(block, size/len(block)+1)
}

func hashOfRubbish(r *rand.Rand, size int) runbook.RawEntry {
	e := runbook.RawEntry{Type: "hash"}
	for i := range size / 6 {
		e.Parts = append(e.Parts, runbook.RawPart{Field: fmt.Sprintf("%04d", i), Value: []byte{byte(r.IntN(256))}})
	}
	return e
}

func hashKey(r *rand.Rand, size int) runbook.RawEntry {
	e := hashOfRubbish(r, size)
	e.Parts = append(e.Parts, runbook.RawPart{Field: "kty", Value: []byte("RSA")})
	return e
}

func listOfBombs(r *rand.Rand, size int) runbook.RawEntry {
	e := runbook.RawEntry{Type: "list"}
	for range 8 {
		e.Parts = append(e.Parts, runbook.RawPart{Value: []byte(pickleStates(r, size/8))})
	}
	return e
}

func setOfRubbish(_ *rand.Rand, size int) runbook.RawEntry {
	e := runbook.RawEntry{Type: "set"}
	for i := range size / 4 {
		e.Parts = append(e.Parts, runbook.RawPart{Value: fmt.Appendf(nil, "%d", i)})
	}
	return e
}
