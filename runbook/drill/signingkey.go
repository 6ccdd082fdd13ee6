package drill

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"
)

// keyBits is the size of Cognito's signing keys.
const keyBits = 2048

// The new kind of key that the identity provider may publish (FIPS 204; in
// JOSE its key type is AKP); lengths in bytes.
const (
	algMLDSA65       = "ML-DSA-65"
	publicMLDSA65    = 1952
	signatureMLDSA65 = 3309
)

// signingKey is one RSA key with its name, or the public half of an ML-DSA-65
// key, which is published and signs nothing here.
type signingKey struct {
	kid     string
	private *rsa.PrivateKey
	mldsa   []byte // nil for an RSA key
	noAlg   bool   // it is published without alg
}

// keySet is what the endpoint publishes, in order.
type keySet []signingKey

func (s keySet) kids() []string {
	kids := make([]string, 0, len(s))
	for _, k := range s {
		kids = append(kids, k.kid)
	}
	return kids
}

func newSigningKey() (signingKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return signingKey{}, fmt.Errorf("generate signing key: %w", err)
	}
	return signingKey{kid: newKid(), private: key}, nil
}

// free are the private keys of worlds that are closed. A program that builds one
// world after the other spends much of its time on making keys; here the next
// one gets them, under other names.
var free struct {
	sync.Mutex
	keys []*rsa.PrivateKey
}

// takeSigningKey returns a key that no open world has.
func takeSigningKey() (signingKey, error) {
	if key := takeFree(); key != nil {
		return signingKey{kid: newKid(), private: key}, nil
	}
	return newSigningKey()
}

func takeFree() *rsa.PrivateKey {
	free.Lock()
	defer free.Unlock()
	last := len(free.keys) - 1
	if last < 0 {
		return nil
	}
	key := free.keys[last]
	free.keys = free.keys[:last]
	return key
}

// giveBack is called when the world is closed.
func giveBack(keys []*rsa.PrivateKey) {
	free.Lock()
	defer free.Unlock()
	free.keys = append(free.keys, keys...)
}

// newKindOfKey is an ML-DSA-65 key as seen from outside: every string of the
// right length is one.
func newKindOfKey() signingKey {
	key := signingKey{kid: newKid(), mldsa: make([]byte, publicMLDSA65)}
	_, _ = rand.Read(key.mldsa) // never fails
	return key
}

// newKid returns a key id as Cognito makes them: 32 bytes in standard base64,
// so that "+", "/" and "=" occur. It insists on one "+" or "/", because readers
// that choke on them must be found.
func newKid() string {
	for {
		b := make([]byte, 32)
		_, _ = rand.Read(b) // never fails
		if kid := base64.StdEncoding.EncodeToString(b); strings.ContainsAny(kid, "+/") {
			return kid
		}
	}
}

// jwk is a public key with its members in Cognito's order.
type jwk struct {
	Alg string `json:"alg,omitempty"`
	E   string `json:"e,omitempty"`
	Kid string `json:"kid"`
	Kty string `json:"kty"`
	N   string `json:"n,omitempty"`
	Pub string `json:"pub,omitempty"`
	Use string `json:"use"`
}

// document is the key set as JSON.
func (s keySet) document() []byte {
	doc := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range s {
		if k.mldsa != nil {
			doc.Keys = append(doc.Keys, jwk{Alg: algMLDSA65, Kid: k.kid, Kty: "AKP", Use: "sig", Pub: base64.RawURLEncoding.EncodeToString(k.mldsa)})
			continue
		}
		alg := "RS256"
		if k.noAlg {
			alg = ""
		}
		doc.Keys = append(doc.Keys, jwk{
			Alg: alg, Kid: k.kid, Kty: "RSA", Use: "sig",
			E: base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.private.E)).Bytes()),
			N: base64.RawURLEncoding.EncodeToString(k.private.N.Bytes()),
		})
	}
	b, _ := json.Marshal(doc) // strings only: cannot fail
	return b
}
