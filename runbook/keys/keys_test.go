package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
)

// material is what the tests know of their own keys.
type material struct {
	rsa, other, weak *rsa.PrivateKey
	ec               *ecdsa.PrivateKey
	ed               ed25519.PublicKey
	cert             []byte // of rsa, DER
}

var keyMaterial = sync.OnceValue(func() material {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var m material
	var err error
	m.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	m.other, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	m.weak, err = rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	m.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	m.ed, _, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<31, 0)}
	m.cert, err = x509.CreateCertificate(rand.Reader, template, template, &m.rsa.PublicKey, m.rsa)
	must(err)
	return m
})

// object is a JSON object whose members keep their order.
type object []any

func (o object) String() string {
	var parts []string
	for i := 0; i < len(o); i += 2 {
		value, ok := o[i+1].(json.RawMessage)
		if !ok {
			value, _ = json.Marshal(o[i+1])
		}
		name, _ := json.Marshal(o[i])
		parts = append(parts, fmt.Sprintf("%s:%s", name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// with returns a copy with members set or added.
func (o object) with(members ...any) object {
	out := slices.Clone(o)
	for i := 0; i < len(members); i += 2 {
		if at := out.index(members[i]); at >= 0 {
			out[at+1] = members[i+1]
		} else {
			out = append(out, members[i], members[i+1])
		}
	}
	return out
}

func (o object) without(names ...string) object {
	out := object{}
	for i := 0; i < len(o); i += 2 {
		if !slices.Contains(names, o[i].(string)) {
			out = append(out, o[i], o[i+1])
		}
	}
	return out
}

func (o object) index(name any) int {
	for i := 0; i < len(o); i += 2 {
		if o[i] == name {
			return i
		}
	}
	return -1
}

func rsaKey(kid string, key *rsa.PrivateKey) object {
	return object{"kid", kid, "kty", "RSA", "alg", "RS256", "use", "sig", "n", encode(key.N.Bytes()), "e", "AQAB"}
}

func good(kid string) object { return rsaKey(kid, keyMaterial().rsa) }

func ecKey(kid string) object {
	point, err := keyMaterial().ec.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return object{"kid", kid, "kty", "EC", "crv", "P-256", "x", encode(point[1:33]), "y", encode(point[33:])}
}

func edKey(kid string) object {
	return object{"kid", kid, "kty", "OKP", "crv", "Ed25519", "x", encode(keyMaterial().ed)}
}

func set(keys ...object) string {
	var parts []string
	for _, k := range keys {
		parts = append(parts, k.String())
	}
	return `{"keys":[` + strings.Join(parts, ",") + `]}`
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func publicPEM() string {
	der, err := x509.MarshalPKIXPublicKey(&keyMaterial().rsa.PublicKey)
	if err != nil {
		panic(err)
	}
	return pemOf("PUBLIC KEY", der)
}

// thumb is the thumbprint of one of our keys.
func thumb(t testing.TB, key object) string {
	t.Helper()
	got := Read([]byte(set(key)))
	if len(got.Keys) != 1 || got.Keys[0].Thumbprint == "" {
		t.Fatalf("no thumbprint of %s: %+v", key, got)
	}
	return got.Keys[0].Thumbprint
}

func allProblems(set runbook.KeySet) string {
	all := slices.Clone(set.Problems)
	for _, k := range set.Keys {
		all = append(all, k.Problems...)
	}
	return strings.Join(all, "\n")
}

// TestThumbprintVectors holds the thumbprints to RFC 7638 section 3.1 and
// RFC 8037 appendix A.3.
func TestThumbprintVectors(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`,
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	} {
		if got := Read([]byte(c.doc)); len(got.Keys) != 1 || got.Keys[0].Thumbprint != c.want || !got.Keys[0].Usable {
			t.Errorf("%+v, want thumbprint %s", got, c.want)
		}
	}
}

// TestOwnThumbprintIsTheLibrarys: keys that jwx refuses are hashed here, so the
// two ways must agree on the keys that it takes.
func TestOwnThumbprintIsTheLibrarys(t *testing.T) {
	m := keyMaterial()
	for _, public := range []any{&m.rsa.PublicKey, &m.ec.PublicKey, m.ed} {
		if a, b := jwxThumbprint(public), hashThumbprint(canonicalOf(public)); a == "" || a != b {
			t.Errorf("%T: jwx %q, own %q", public, a, b)
		}
	}
	if got := jwxThumbprint(struct{}{}); got != "" {
		t.Errorf("thumbprint of no key: %q", got)
	}
}

// keyCase is one key and what is to be said of it.
type keyCase struct {
	name   string
	key    object
	usable bool
	thumb  bool     // it has the thumbprint of the key it was made of
	say    []string // parts of its problems; none means no problem
}

func keyCases() []keyCase {
	m := keyMaterial()
	cert := base64.StdEncoding.EncodeToString(m.cert)
	even := new(big.Int).Lsh(m.rsa.N, 1).Bytes()
	spki, _ := x509.MarshalPKIXPublicKey(&m.rsa.PublicKey)
	n := encode(m.rsa.N.Bytes())
	x := ecKey("a")[ecKey("a").index("x")+1].(string)
	return []keyCase{
		{"rsa", good("a"), true, true, nil},
		{"ec", ecKey("a"), true, true, nil},
		{"ed25519", edKey("a"), true, true, nil},
		{"kid missing", good("a").without("kid"), true, true, []string{"key 1: member kid: missing kid"}},
		{"kid null", good("a").with("kid", nil), true, true, []string{"missing kid"}},
		{"kid empty", good(""), true, true, []string{"missing kid"}},
		{"kid number", good("a").with("kid", 7), false, true, []string{"a kid that is not a string"}},
		{"kid of cognito", good("0SGns29+VR52C7G1/75Ks2=:"), true, true, nil},
		{"kty missing", good("a").without("kty"), false, false, []string{`key 1 (kid "a"): member kty: missing`}},
		{"kty unknown", good("a").with("kty", "XYZ"), false, false, []string{`"XYZ" is unknown`}},
		{"kty number", good("a").with("kty", 1), false, false, []string{"member kty: a number"}},
		{"crv unknown", ecKey("a").with("crv", "P-999"), false, false, []string{`curve "P-999" is unknown`}},
		{"use enc", good("a").with("use", "enc"), false, true, []string{"encryption key"}},
		{"use other", good("a").with("use", "signature"), false, true, []string{"member use"}},
		{"use array", good("a").with("use", []string{"sig"}), false, true, []string{"member use: an array"}},
		{"alg oaep", good("a").without("use").with("alg", "RSA-OAEP"), false, true, []string{"encryption key"}},
		{"key_ops wrap", good("a").without("use", "alg").with("key_ops", []string{"wrapKey"}), false, true, []string{"encryption key"}},
		{"key_ops verify", good("a").with("key_ops", []string{"verify"}), true, true, nil},
		{"key_ops sign", good("a").with("key_ops", []string{"sign"}), false, true, []string{"member key_ops"}},
		{"alg unregistered", good("a").with("alg", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"), true, true, []string{"not a registered name"}},
		{"alg none", good("a").with("alg", "none"), false, true, []string{"none is not a signature"}},
		{"alg hmac", good("a").with("alg", "HS256"), false, true, []string{"does not go with"}},
		{"alg other curve", ecKey("a").with("alg", "ES384"), false, true, []string{"does not go with the curve"}},
		{"weak", rsaKey("a", m.weak), true, true, []string{"weak key: a modulus of 1024 bits"}},
		{"n short", good("a").with("n", encode(m.weak.N.Bytes()[:100])), false, false, []string{"too short"}},
		{"n even", good("a").with("n", encode(even)), false, false, []string{"even"}},
		{"n der", good("a").with("n", encode(spki)), false, false, []string{"DER"}},
		{"n pem", good("a").with("n", publicPEM()), false, false, []string{"PEM"}},
		{"n base64 of base64", good("a").with("n", encode([]byte(n))), false, false, []string{"base64 of base64"}},
		{"n huge", good("a").with("n", encode(append([]byte{1}, make([]byte, 4096)...))), false, false, []string{"too long"}},
		{"n empty", good("a").with("n", ""), false, false, []string{"member n: empty"}},
		{"n zeros", good("a").with("n", "AAAA"), false, false, []string{"too short"}},
		{"n number", good("a").with("n", 5), false, false, []string{"member n: a number"}},
		{"n missing", good("a").without("n"), false, false, []string{"member n: missing"}},
		{"n not base64", good("a").with("n", "base64url..."), false, false, []string{"not base64url"}},
		{"n padded", good("a").with("n", n+"=="), true, true, []string{"padded"}},
		{"n plain base64", good("a").with("n", base64.RawStdEncoding.EncodeToString(m.rsa.N.Bytes())+"\r\n"), true, true, []string{"not canonical"}},
		{"n leading zero", good("a").with("n", encode(append([]byte{0}, m.rsa.N.Bytes()...))), true, true, []string{"zero octet"}},
		{"n white space", good("a").with("n", n[:9]+" "+n[9:]), true, true, []string{"white space"}},
		{"e one", good("a").with("e", "AQ"), false, false, []string{"exponent is 1"}},
		{"e even", good("a").with("e", "AQAA"), false, false, []string{"exponent is 65536"}},
		{"e 35", good("a").with("e", "Iw"), true, false, []string{"unusual exponent 35"}},
		{"e newline", good("a").with("e", "AQAB\r\n"), true, true, []string{"white space"}},
		{"e huge", good("a").with("e", "AQAAAAAAAAAAAQ"), false, false, []string{"too long"}},
		{"ec off curve", ecKey("a").with("x", encode(append([]byte{1}, make([]byte, 31)...))), false, false, []string{"not on the curve"}},
		{"ec long", ecKey("a").with("x", encode(append([]byte{1}, make([]byte, 40)...))), false, false, []string{"too long for the curve"}},
		{"ec zero before", ecKey("a").with("x", zeroBefore(x)), true, true, []string{"34 octets instead of 32"}},
		{"ed25519 short", edKey("a").with("x", "AQID"), false, false, []string{"3 octets"}},
		{"x25519", edKey("a").with("crv", "X25519"), false, false, []string{"encryption key"}},
		{"x5c agrees", good("a").with("x5c", []string{cert}), true, true, nil},
		{"x5c disagrees", rsaKey("a", m.other).with("x5c", []string{cert}), true, true, []string{"member x5c: disagrees"}},
		{"x5c only", good("a").without("n", "e").with("x5c", []string{cert}), false, false, []string{"only a certificate"}},
		{"x5c string", good("a").with("x5c", cert), true, true, []string{"member x5c: a string"}},
		{"x5c null", good("a").with("x5c", nil), true, true, nil},
		{"oth empty", good("a").with("oth", []int{}), true, true, nil},
		{"d empty", good("a").with("d", ""), true, true, []string{"present but empty"}},
		{"d null", good("a").with("d", nil), true, true, []string{"present but empty"}},
		{"akp", object{"kid", "a", "kty", "AKP", "alg", "ML-DSA-44", "pub", "AQIDBA"}, false, true, []string{`"AKP" is unknown`}},
		{"secp256k1", secp256k1Key(), true, true, []string{"unusual curve secp256k1"}},
		{"secp256k1 off curve", secp256k1Key().with("y", encode(make([]byte, 32))), false, false, []string{"not on the curve"}},
	}
}

func TestKeys(t *testing.T) {
	for _, c := range keyCases() {
		t.Run(c.name, func(t *testing.T) {
			got := Read([]byte(set(c.key)))
			if got.Shape != runbook.ShapeSet || len(got.Keys) != 1 {
				t.Fatalf("%+v", got)
			}
			k := got.Keys[0]
			if k.Usable != c.usable || (got.Usable == 1) != c.usable {
				t.Errorf("usable %v, want %v: %q", k.Usable, c.usable, k.Problems)
			}
			if (len(c.say) == 0) != (len(k.Problems) == 0) {
				t.Errorf("problems %q, want %q", k.Problems, c.say)
			}
			for _, say := range c.say {
				if !strings.Contains(allProblems(got), say) {
					t.Errorf("problems %q do not say %q", k.Problems, say)
				}
			}
			if c.thumb && k.Thumbprint == "" {
				t.Error("no thumbprint")
			}
			want := map[string]string{"RSA": thumb(t, good("a")), "EC": thumb(t, ecKey("a")), "OKP": thumb(t, edKey("a"))}[k.Kty]
			made := !strings.HasPrefix(c.name, "weak") && c.name != "x5c disagrees" && k.Kty != "AKP" && !strings.HasPrefix(c.name, "secp")
			if c.thumb && made && k.Thumbprint != want {
				t.Errorf("thumbprint %s, want %s", k.Thumbprint, want)
			}
			if got.PrivatePublished || got.SymmetricPublished {
				t.Error("says that a secret is published")
			}
		})
	}
}

// zeroBefore writes a number with two zero octets before it.
func zeroBefore(text string) string {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return encode(append([]byte{0, 0}, b...))
}

// secp256k1Key is the generator of the curve (SEC 2 section 2.4.1).
func secp256k1Key() object {
	x, _ := new(big.Int).SetString("79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798", 16)
	y, _ := new(big.Int).SetString("483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8", 16)
	return object{"kid", "a", "kty", "EC", "alg", "ES256K", "crv", "secp256k1", "x", encode(x.Bytes()), "y", encode(y.Bytes())}
}

// TestSecretsAreNeverKept plants a secret in every private and symmetric
// member, however its name is written.
func TestSecretsAreNeverKept(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ"
	for _, c := range []struct {
		member             string
		value              any
		private, symmetric bool
	}{
		{"d", secret, true, false}, {"p", secret, true, false}, {"q", secret, true, false}, {"dp", secret, true, false},
		{"dq", secret, true, false}, {"qi", secret, true, false}, {"priv", secret, true, false}, {"D", secret, true, false},
		{"oth", []map[string]string{{"r": secret}}, true, false}, {"d", []string{secret}, true, false},
		{"k", secret, false, true}, {"K", secret, false, true},
		{"client_secret", secret, false, false}, {"nested", map[string]string{"d": secret}, false, false},
		{"pem", "-----BEGIN PRIVATE KEY-----" + secret, false, false}, {"as_text", `{"d":"` + secret + `"}`, false, false},
		{"kid", map[string]string{"d": secret}, false, false}, {"n", "-----BEGIN RSA PRIVATE KEY-----\n" + secret, false, false},
		{"x5c", map[string]string{"d": secret}, false, false},
	} {
		got := Read([]byte(set(good("a").with(c.member, c.value), good("b"))))
		if strings.Contains(fmt.Sprintf("%#v", got), secret) {
			t.Errorf("member %s: the secret is kept: %#v", c.member, got.Keys[0])
		}
		if got.PrivatePublished != c.private || got.SymmetricPublished != c.symmetric {
			t.Errorf("member %s: private %v, symmetric %v", c.member, got.PrivatePublished, got.SymmetricPublished)
		}
		if len(got.Keys) != 2 || !got.Keys[1].Usable {
			t.Errorf("member %s: it hides the other key: %+v", c.member, got)
		}
		if c.private && (!got.Keys[0].Usable || ExitCode(got) != 1) {
			t.Errorf("member %s: usable %v, exit code %d", c.member, got.Keys[0].Usable, ExitCode(got))
		}
	}
}

func TestSymmetricKey(t *testing.T) {
	got := Read([]byte(set(object{"kid", "a", "kty", "oct", "k", "c2VjcmV0", "alg", "HS256"})))
	k := got.Keys[0]
	if k.Usable || k.Thumbprint != "" || len(k.Numbers) > 0 || !got.SymmetricPublished || k.Kty != "oct" || ExitCode(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestDuplicates(t *testing.T) {
	twice := strings.Replace(good("a").String(), `"kty"`, `"n":"AQAB","kty"`, 1)
	got := Read([]byte(`{"keys":[` + twice + `]}`))
	if k := got.Keys[0]; !k.Usable || k.Thumbprint != thumb(t, good("a")) || !strings.Contains(allProblems(got), "member n: appears more than once") {
		t.Errorf("duplicate member: %+v", got)
	}
	got = Read([]byte(set(good("a"), ecKey("a"), edKey("b"))))
	if got.Usable != 3 || !strings.Contains(got.Keys[0].Problems[0], "duplicate kid, key 2") ||
		!strings.Contains(got.Keys[1].Problems[0], `key 2 (kid "a"): member kid: duplicate kid, key 1`) || len(got.Keys[2].Problems) > 0 {
		t.Errorf("duplicate kid: %+v", got)
	}
}
