package keys

import (
	"encoding/json"
	"slices"
	"strings"

	"jwksbot/runbook"
)

// family is what a signature algorithm needs of a key.
type family struct{ kty, crv string }

// signatures are the algorithms of RFC 7518 section 3.1, RFC 8037, RFC 8812 and
// RFC 9864, by what they need.
var signatures = map[string]family{
	"RS256": {kty: "RSA"}, "RS384": {kty: "RSA"}, "RS512": {kty: "RSA"},
	"PS256": {kty: "RSA"}, "PS384": {kty: "RSA"}, "PS512": {kty: "RSA"},
	"ES256": {"EC", "P-256"}, "ES384": {"EC", "P-384"}, "ES512": {"EC", "P-521"}, "ES256K": {"EC", "secp256k1"},
	"EdDSA": {kty: "OKP"}, "Ed25519": {"OKP", "Ed25519"}, "Ed448": {"OKP", "Ed448"},
	"HS256": {kty: "oct"}, "HS384": {kty: "oct"}, "HS512": {kty: "oct"},
}

// readPurpose decides whether the key is meant for signatures at all, and
// whether its own members let a verifier choose it.
func (j *judge) readPurpose() {
	ops := j.operations()
	switch {
	case j.symmetric:
		return
	case isEncryption(j.key):
		j.encryption = true
		j.odd(problemEncryption + ": not for signatures")
		return
	case j.key.Use != "" && j.key.Use != "sig":
		j.refuse("member use: %q is neither sig nor enc, verifiers pass over the key", j.key.Use)
	case ops != nil && !slices.Contains(ops, "verify"):
		j.refuse("member key_ops: does not contain verify, verifiers pass over the key")
	}
	j.fitAlg()
}

// fitAlg compares the algorithm with the kind of key.
func (j *judge) fitAlg() {
	alg := j.key.Alg
	need, known := signatures[alg]
	crv := j.key.Numbers["crv"]
	switch {
	case alg == "" || j.key.Kty == "":
	case alg == "none":
		j.refuse("member alg: none is not a signature")
	case !known:
		j.odd("member alg: %q is not a registered name", alg)
	case need.kty != j.key.Kty:
		j.refuse("member alg: %s does not go with a key of type %s", alg, j.key.Kty)
	case need.crv != "" && crv != "" && need.crv != crv:
		j.refuse("member alg: %s does not go with the curve %s", alg, crv)
	}
}

// operations returns key_ops, nil when there are none to go by.
func (j *judge) operations() []string {
	raw := j.raw.get("key_ops")
	switch {
	case len(raw) == 0 || isEmpty(raw):
		return nil
	case raw[0] != '[':
		j.odd("member key_ops: %s, not an array", kind(raw))
		return nil
	}
	ops := []string{}
	elements(raw, func(v []byte) bool {
		if v[0] == '"' {
			ops = append(ops, unquote(v))
		}
		return len(ops) < 32
	})
	return ops
}

func encrypts(ops []string) bool {
	return slices.ContainsFunc(ops, func(op string) bool {
		return slices.Contains([]string{"encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"}, op)
	})
}

// isEncryptionAlg knows the key management algorithms of RFC 7518 section 4.1.
func isEncryptionAlg(alg string) bool {
	return alg == "dir" || strings.HasPrefix(alg, "RSA-OAEP") || strings.HasPrefix(alg, "RSA1_5") ||
		strings.HasPrefix(alg, "ECDH-ES") || strings.HasSuffix(alg, "KW")
}

// isEncryption says that a key is not meant for signatures, so that its being
// unusable is in order.
func isEncryption(k runbook.Key) bool {
	var ops []string
	if text := k.Metadata["key_ops"]; text != "" && json.Unmarshal([]byte(text), &ops) != nil {
		ops = nil
	}
	crv := k.Numbers["crv"]
	return k.Use == "enc" || isEncryptionAlg(k.Alg) || crv == "X25519" || crv == "X448" ||
		k.Use == "" && encrypts(ops) && !slices.Contains(ops, "verify")
}
