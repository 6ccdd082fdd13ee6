package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"slices"
)

// Sizes of RSA moduli in bits: below the first no verifier of today takes a
// key, below the second it is weak (NIST SP 800-131A), above the third
// libraries refuse to spend the time.
const (
	minModulus   = 1024
	soundModulus = 2048
	maxModulus   = 8192
)

func (j *judge) readRSA() {
	if len(j.raw.get("n")) == 0 && len(j.raw.get("e")) == 0 && len(j.raw.get("x5c")) > 0 {
		j.certificateOnly()
		return
	}
	n, okN := j.number("n")
	e, okE := j.number("e")
	if okN {
		if n.trimZeros() {
			j.odd("member n: not canonical: begins with a zero octet")
		}
		j.checkModulus(n.bytes)
	}
	if okE {
		if e.trimZeros() {
			j.odd("member e: not canonical: begins with a zero octet")
		}
		j.checkExponent(e.bytes)
	}
	if !okN || !okE || len(n.bytes) == 0 || len(e.bytes) == 0 {
		return
	}
	if len(e.bytes) <= 4 && !j.refused {
		exponent := int(new(big.Int).SetBytes(e.bytes).Int64())
		j.thumbprint(&rsa.PublicKey{N: new(big.Int).SetBytes(n.bytes), E: exponent})
	}
	j.finish(func() string { return canonicalRSA(n.bytes, e.bytes) })
}

func (j *judge) checkModulus(n []byte) {
	bits := new(big.Int).SetBytes(n).BitLen()
	switch {
	case isDER(n):
		j.refuse("member n: holds a whole key in DER, not the modulus")
	case bytes.HasPrefix(n, []byte("-----BEGIN")):
		j.refuse("member n: holds PEM text, not the modulus")
	case isText(n):
		j.refuse("member n: is base64 of base64, not the modulus")
	case bits < minModulus:
		j.refuse("member n: a modulus of %d bits is too short, verifiers refuse it", bits)
	case bits > maxModulus:
		j.refuse("member n: a modulus of %d bits is too long, verifiers refuse it", bits)
	case n[len(n)-1]&1 == 0:
		j.refuse("member n: the modulus is even, which is impossible")
	case bits < soundModulus:
		j.odd("member n: weak key: a modulus of %d bits", bits)
	case bits%128 != 0:
		j.odd("member n: a modulus of %d bits is unusual and may be cut off", bits)
	}
}

// isDER says that a modulus is a whole ASN.1 sequence.
func isDER(n []byte) bool {
	if len(n) == 0 || n[0] != 0x30 {
		return false
	}
	var sequence asn1.RawValue
	rest, err := asn1.Unmarshal(n, &sequence)
	return err == nil && len(rest) == 0
}

// isText says that a modulus consists of base64 characters, which chance does
// not bring about.
func isText(n []byte) bool {
	for _, c := range n {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && bytes.IndexByte([]byte("-_+/=\r\n"), c) < 0 {
			return false
		}
	}
	return len(n) > 32
}

// checkExponent: 65537 is what everybody uses; up to 31 bits is what Go, .NET
// and Java take; 1 and even numbers are no exponents.
func (j *judge) checkExponent(e []byte) {
	v := new(big.Int).SetBytes(e)
	switch {
	case v.BitLen() <= 1 || v.Bit(0) == 0:
		j.refuse("member e: the exponent is %s, which is impossible", describeInt(v))
	case v.BitLen() > 31:
		j.refuse("member e: an exponent of %d bits is too long, verifiers refuse it", v.BitLen())
	case v.Int64() != 65537:
		j.odd("member e: unusual exponent %d", v.Int64())
	}
}

func describeInt(v *big.Int) string {
	if v.BitLen() > 31 {
		return "even"
	}
	return v.String()
}

// curve is what is known of an elliptic curve for signatures.
type curve struct {
	size    int            // octets of a coordinate
	std     elliptic.Curve // nil: not in the standard library
	unusual bool           // registered, but not taken by every verifier
}

// curves are those of RFC 7518 section 6.2.1.1, RFC 8037 section 2 and RFC 8812
// section 3.1, by key type and name.
var curves = map[[2]string]curve{
	{"EC", "P-256"}:     {size: 32, std: elliptic.P256()},
	{"EC", "P-384"}:     {size: 48, std: elliptic.P384()},
	{"EC", "P-521"}:     {size: 66, std: elliptic.P521()},
	{"EC", "secp256k1"}: {size: 32, unusual: true},
	{"OKP", "Ed25519"}:  {size: 32},
	{"OKP", "Ed448"}:    {size: 57, unusual: true},
	{"OKP", "X25519"}:   {size: 32},
	{"OKP", "X448"}:     {size: 56},
}

// readCurve reads crv; known is false for one that no verifier has.
func (j *judge) readCurve() (c curve, known bool) {
	crv, problem := j.raw.text("crv")
	switch {
	case problem != "":
		j.refuse("%s", problem)
		return c, false
	case crv == "":
		j.refuse("member crv: missing")
		return c, false
	}
	j.keep("crv", crv)
	if c, known = curves[[2]string{j.key.Kty, crv}]; !known {
		j.refuse("member crv: curve %q is unknown to mainstream verifiers", crv)
	} else if c.unusual {
		j.odd("member crv: unusual curve %s, not every verifier has it", crv)
	}
	return c, known
}

func (j *judge) readEC() {
	if len(j.raw.get("x")) == 0 && len(j.raw.get("y")) == 0 && len(j.raw.get("x5c")) > 0 {
		j.certificateOnly()
		return
	}
	c, known := j.readCurve()
	x, okX := j.number("x")
	y, okY := j.number("y")
	if !okX || !okY || j.key.Numbers["crv"] == "" {
		return
	}
	fit := true
	if known {
		fit = j.coordinate("x", &x, c.size)
		fit = j.coordinate("y", &y, c.size) && fit
	}
	point := slices.Concat([]byte{4}, x.bytes, y.bytes)
	if fit && c.std != nil {
		if public, err := ecdsa.ParseUncompressedPublicKey(c.std, point); err == nil {
			j.thumbprint(public)
		} else {
			j.refuse("members x and y: the point is not on the curve %s", j.key.Numbers["crv"])
		}
	} else if fit && known && !onSecp256k1(x.bytes, y.bytes) {
		j.refuse("members x and y: the point is not on the curve %s", j.key.Numbers["crv"])
	}
	j.finish(func() string { return canonicalEC(j.key.Numbers["crv"], x.bytes, y.bytes) })
}

// coordinate brings a coordinate to the length that RFC 7518 section 6.2.1.2
// demands, and says when it was written otherwise.
func (j *judge) coordinate(name string, n *number, size int) bool {
	written := len(n.bytes)
	if written == size {
		return true
	}
	n.trimZeros()
	if len(n.bytes) > size {
		j.refuse("member %s: %d octets are too long for the curve", name, len(n.bytes))
		return false
	}
	n.bytes = append(make([]byte, size-len(n.bytes)), n.bytes...)
	j.odd("member %s: not canonical: %d octets instead of %d", name, written, size)
	return true
}

// onSecp256k1 checks y² = x³ + 7 (SEC 2 section 2.4.1).
func onSecp256k1(x, y []byte) bool {
	p, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)
	bx, by := new(big.Int).SetBytes(x), new(big.Int).SetBytes(y)
	if bx.Cmp(p) >= 0 || by.Cmp(p) >= 0 {
		return false
	}
	right := new(big.Int).Exp(bx, big.NewInt(3), p)
	right.Add(right, big.NewInt(7)).Mod(right, p)
	return new(big.Int).Exp(by, big.NewInt(2), p).Cmp(right) == 0
}

func (j *judge) readOKP() {
	if len(j.raw.get("x")) == 0 && len(j.raw.get("x5c")) > 0 {
		j.certificateOnly()
		return
	}
	c, known := j.readCurve()
	x, ok := j.number("x")
	if !ok || j.key.Numbers["crv"] == "" {
		return
	}
	switch {
	case known && len(x.bytes) != c.size:
		j.refuse("member x: %d octets, a key on %s has %d", len(x.bytes), j.key.Numbers["crv"], c.size)
	case j.key.Numbers["crv"] == "Ed25519":
		j.thumbprint(ed25519.PublicKey(x.bytes))
	}
	j.finish(func() string { return canonicalOKP(j.key.Numbers["crv"], x.bytes) })
}

// readAKP knows the keys of ML-DSA (draft-ietf-cose-dilithium) well enough to
// compare them; no mainstream verifier takes them.
func (j *judge) readAKP() {
	j.refuse("member kty: key type %q is unknown to mainstream verifiers", "AKP")
	if pub := readNumber(j.raw.get("pub")); pub.problem == "" && j.key.Alg != "" {
		j.key.Thumbprint = hashThumbprint(`{"alg":` + quote(j.key.Alg) + `,"kty":"AKP","pub":"` + encode(pub.bytes) + `"}`)
	}
}

// thumbprint asks jwx, which takes a third of the time of a set of thousands:
// there the keys after the first ones are left to finish, whose answer is the
// same (TestOwnThumbprintIsTheLibrarys, TestManyKeysInOrder).
func (j *judge) thumbprint(public any) {
	if !j.many {
		j.key.Thumbprint = jwxThumbprint(public)
	}
}

// finish gives a thumbprint to keys that jwx was not asked for or does not take
// (broken numbers, curves that it was built without), so that they can still be
// compared, and looks whether the certificate says the same.
func (j *judge) finish(canonical func() string) {
	if j.key.Thumbprint == "" {
		j.key.Thumbprint = hashThumbprint(canonical())
	}
	if len(j.raw.get("x5c")) > 0 {
		j.compareCertificate(canonical())
	}
}

// hashThumbprint is RFC 7638 section 3.
func hashThumbprint(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return encode(sum[:])
}

func canonicalRSA(n, e []byte) string {
	return `{"e":"` + encode(e) + `","kty":"RSA","n":"` + encode(n) + `"}`
}

func canonicalEC(crv string, x, y []byte) string {
	return `{"crv":` + quote(crv) + `,"kty":"EC","x":"` + encode(x) + `","y":"` + encode(y) + `"}`
}

func canonicalOKP(crv string, x []byte) string {
	return `{"crv":` + quote(crv) + `,"kty":"OKP","x":"` + encode(x) + `"}`
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always marshals
	return string(b)
}
