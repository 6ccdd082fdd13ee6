package drill

import (
	"strings"
	"testing"
	"time"
)

// TestAuthoriserRefuses holds the validation to tokens that must not pass, with
// the line that each leaves.
func TestAuthoriserRefuses(t *testing.T) {
	w := quietWorld(t)
	_ = w.Close() // the traffic ends; the parts stay usable without a network
	at := w.clock.Now()
	good, err := w.idp.issue("user", "jti", at)
	if err != nil {
		t.Fatal(err)
	}
	stranger := newProvider()
	key, err := newSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	stranger.issuer = "https://issuer.example"
	stranger.signing = w.idp.signing
	foreign, err := stranger.issue("user", "jti", at)
	if err != nil {
		t.Fatal(err)
	}
	stranger.issuer = w.Issuer()
	stranger.signing = signingKey{kid: w.idp.signing.kid, private: key.private}
	forged, err := stranger.issue("user", "jti", at)
	if err != nil {
		t.Fatal(err)
	}
	stranger.signing = key
	unknown, err := stranger.issue("user", "jti", at)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := parseKeys(w.idp.published.document())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token string
		at    time.Time
		want  string
	}{
		"good":       {good, at, ""},
		"expired":    {good, at.Add(tokenLifetime), "JwtExpiredError: Token expired at "},
		"foreign":    {foreign, at, "JwtInvalidIssuerError: Issuer not allowed: https://issuer.example. Expected: " + w.Issuer()},
		"forged":     {forged, at, `{"event":"invalid_signature","kid":"` + w.idp.signing.kid + `"`},
		"other key":  {unknown, at, `KidNotFoundInJwksError: JWK for kid "` + key.kid + `" not found in the JWKS`},
		"cut off":    {good[:len(good)/2], at, "JwtParseError: "},
		"no base64":  {"!.!.!", at, "JwtParseError: "},
		"no JSON":    {"aaaa.aaaa.aaaa", at, "JwtParseError: "},
		"two parts":  {"a.b", at, "JwtParseError: "},
		"bent":       {good[:len(good)-8] + "AAAAAAAA", at, "invalid_signature"},
		"empty text": {"", at, "JwtParseError: "},
	} {
		env := &environment{keys: keys, until: tt.at.Add(time.Minute)}
		_, err := w.authoriser.validate(t.Context(), env, tt.at, tt.token)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: refused: %v", name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		case err != nil && tt.token != "" && strings.Contains(err.Error(), tt.token):
			t.Errorf("%s: the line holds the token", name)
		}
	}
}

func TestParseKeysRefuses(t *testing.T) {
	for document, want := range map[string]string{
		maintenancePage:                     `JWKS is not valid JSON: Unexpected token in "<!DOCTYPE html>"`,
		"":                                  "JWKS is not valid JSON",
		"{}":                                "JWKS does not include keys",
		`{"keys":[{"kid":"a","kty":"EC"}]}`: `JWK "a" is not an RSA key`,
		`{"keys":[{"kid":"a","kty":"RSA","n":"","e":"AQAB"}]}`:         `JWK "a" is not an RSA key`,
		`{"keys":[{"kid":"a","kty":"RSA","n":"AQAB","e":"AQABAQAB"}]}`: `JWK "a" is not an RSA key`,
	} {
		if _, err := parseKeys([]byte(document)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", document, err, want)
		}
	}
}

// A cache that is gone refuses everybody, and the log says why.
func TestCacheOutageIsLogged(t *testing.T) {
	w := quietWorld(t)
	w.mini.Close()
	signInsSucceed(t, w, false)
	if got := w.State(); !strings.HasPrefix(got.LastError, "JwksCacheError: GET jwks:current: redis "+w.RedisAddr()) || got.CacheNote == "" {
		t.Errorf("last error %q, cache note %q", got.LastError, got.CacheNote)
	}
}

func TestKidsAreCognitoStyle(t *testing.T) {
	for range 50 {
		if kid := newKid(); len(kid) != 44 || !strings.HasSuffix(kid, "=") || !strings.ContainsAny(kid, "+/") {
			t.Fatalf("kid %q", kid)
		}
	}
}
