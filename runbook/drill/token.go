package drill

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// tokenLifetime is Cognito's default for access tokens.
const tokenLifetime = time.Hour

// clientID is the app client of the pool that all users sign in with.
const clientID = "4drill7appclient0example"

type tokenHeader struct {
	Kid string `json:"kid"`
	Alg string `json:"alg"`
}

type tokenClaims struct {
	Sub      string `json:"sub"`
	Iss      string `json:"iss"`
	ClientID string `json:"client_id"`
	TokenUse string `json:"token_use"`
	Scope    string `json:"scope"`
	AuthTime int64  `json:"auth_time"`
	Exp      int64  `json:"exp"`
	Iat      int64  `json:"iat"`
	Jti      string `json:"jti"`
	Username string `json:"username"`
}

// issue signs an access token for a user with the key of the moment.
func (p *provider) issue(user, jti string, at time.Time) (string, error) {
	key := p.state().signing
	header, _ := json.Marshal(tokenHeader{Kid: key.kid, Alg: "RS256"})
	claims, _ := json.Marshal(tokenClaims{
		Sub: user, Iss: p.issuer, ClientID: clientID, TokenUse: "access", Scope: "openid",
		AuthTime: at.Unix(), Iat: at.Unix(), Exp: at.Add(tokenLifetime).Unix(), Jti: jti, Username: user,
	})
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString(header) + "." + enc.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(nil, key.private, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign token with %q: %w", key.kid, err)
	}
	return signed + "." + enc.EncodeToString(sig), nil
}

// verifyKeys are public keys by kid.
type verifyKeys map[string]*rsa.PublicKey

// parseKeys reads a key set as a plain verifier does: all of it or nothing.
// Its errors are the ones that the authoriser logs.
func parseKeys(document []byte) (verifyKeys, error) {
	var doc struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		head, _, _ := bytes.Cut(document[:min(len(document), 15)], []byte("\n"))
		return nil, fmt.Errorf("JwksValidationError: JWKS is not valid JSON: Unexpected token in %q", head)
	}
	if doc.Keys == nil {
		return nil, errors.New("JwksValidationError: JWKS does not include keys")
	}
	keys := verifyKeys{}
	for _, k := range doc.Keys {
		n, errN := base64.RawURLEncoding.DecodeString(k.N)
		e, errE := base64.RawURLEncoding.DecodeString(k.E)
		if errN != nil || errE != nil || k.Kty != "RSA" || len(n) == 0 || len(e) == 0 || len(e) > 4 {
			return nil, fmt.Errorf("JwksValidationError: JWK %q is not an RSA key", k.Kid)
		}
		keys[k.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	return keys, nil
}

// publishedKids returns the kids of a key set in their order.
func publishedKids(document []byte) ([]string, error) {
	if _, err := parseKeys(document); err != nil {
		return nil, err
	}
	var doc struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, err
	}
	kids := make([]string, 0, len(doc.Keys))
	for _, k := range doc.Keys {
		kids = append(kids, k.Kid)
	}
	return kids, nil
}

// token is an access token taken apart, not yet trusted.
type token struct {
	header tokenHeader
	claims tokenClaims
	signed string
	sig    []byte
}

func parseToken(raw string) (token, error) {
	var t token
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return t, errors.New("JwtParseError: Invalid JWT. JWT should consist of three parts")
	}
	t.signed = parts[0] + "." + parts[1]
	var err error
	if t.sig, err = base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return t, errors.New("JwtParseError: Invalid JWT. Signature is not base64url")
	}
	for i, into := range []any{&t.header, &t.claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(b, into)
		}
		if err != nil {
			return t, errors.New("JwtParseError: Invalid JWT. Part is not JSON")
		}
	}
	return t, nil
}

// checkSignature is the whole of RS256.
func (t token) checkSignature(key *rsa.PublicKey) bool {
	sum := sha256.Sum256([]byte(t.signed))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], t.sig) == nil
}

// verifier checks signatures, and remembers what came of it: those who come back
// bring the token that they had, and arithmetic was most of what an hour of
// traffic took. It is used by one goroutine at a time.
type verifier struct{ checked map[string]checked }

type checked struct {
	key *rsa.PublicKey
	ok  bool
}

// maxChecked is how many tokens a verifier remembers.
const maxChecked = 1000

// good says whether the key signed the token.
func (v *verifier) good(t token, key *rsa.PublicKey) bool {
	id := t.signed + string(t.sig)
	if c, known := v.checked[id]; known && c.key.Equal(key) {
		return c.ok
	}
	if v.checked == nil || len(v.checked) >= maxChecked {
		v.checked = map[string]checked{}
	}
	c := checked{key, t.checkSignature(key)}
	v.checked[id] = c
	return c.ok
}

// checkIssuer refuses tokens of others in the words of aws-jwt-verify.
func (t token) checkIssuer(issuer string) error {
	if t.claims.Iss != issuer {
		return fmt.Errorf("JwtInvalidIssuerError: Issuer not allowed: %s. Expected: %s", t.claims.Iss, issuer)
	}
	return nil
}

// checkClaims tells what is wrong with the other claims, in the same words, or
// returns nil.
func (t token) checkClaims(at time.Time) error {
	switch {
	case t.claims.TokenUse != "access":
		return fmt.Errorf("CognitoJwtInvalidTokenUseError: Token use not allowed: %s. Expected: access", t.claims.TokenUse)
	case t.claims.ClientID != clientID:
		return fmt.Errorf("CognitoJwtInvalidClientIdError: Client ID not allowed: %s. Expected: %s", t.claims.ClientID, clientID)
	case at.Unix() >= t.claims.Exp:
		return fmt.Errorf("JwtExpiredError: Token expired at %s", time.Unix(t.claims.Exp, 0).UTC().Format(logTime))
	}
	return nil
}
