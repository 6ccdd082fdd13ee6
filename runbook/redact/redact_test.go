package redact

import (
	"encoding/base64"
	"strings"
	"testing"
)

// testToken builds a token from a header, a payload and a signature.
func testToken(header, payload, signature string) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(header)) + "." + e([]byte(payload)) + "." + signature
}

func TestRedact(t *testing.T) {
	jwt := testToken(`{"alg":"RS256","kid":"a"}`, `{"sub":"bob"}`, "c2lnbmF0dXJl")
	spaced := testToken(` { "alg" : "RS256" }`, `{"sub":"bob"}`, "c2ln")
	tabbed := testToken("{\n\t\"alg\":\"none\"}", `{"sub":"bob"}`, "")
	jwe := testToken(`{"alg":"RSA-OAEP"}`, "a", "b.c.d")
	for _, tt := range []struct{ name, in, want string }{
		{"token in quotes", "failed (token='" + jwt + "'): expired", "failed (token='[redacted token]'): expired"},
		{"token ends a sentence", "bad " + jwt + ".", "bad [redacted token]."},
		{"token beginning with a blank in its header", "x " + spaced, "x [redacted token]"},
		{"unsecured token", "x " + tabbed + " y", "x [redacted token]. y"},
		{"two segments", "x " + strings.TrimSuffix(tabbed, ".") + " y", "x [redacted token] y"},
		{"encrypted token", jwe, "[redacted token]"},
		{"token in an encoded URL", "?r=cb%23id%3D" + jwt + "&x=1", "?r=cb%23id%3D[redacted token]&x=1"},
		{"no token: version and host", "jwx v2.1.7 at api.example.com 10.0.0.1", "jwx v2.1.7 at api.example.com 10.0.0.1"},
		{"header, bearer", "Authorization: Bearer abc.def-123, next", "Authorization: [redacted credential] next"},
		{"header in JSON", `{"Authorization":"Bearer s3cr3tvalue","kid":"a"}`, `{"Authorization":"[redacted credential]","kid":"a"}`},
		{"header in escaped JSON", `{\"authorization\":\"s3cr3t v\",\"kid\":\"a\"}`, `{\"authorization\":\"[redacted credential]\",\"kid\":\"a\"}`},
		{"signature version 4", "Authorization: AWS4-HMAC-SHA256 Credential=x/y, Signature=abc\nnext", "Authorization: [redacted credential]\nnext"},
		{"bearer alone", "curl -H bearer zzz999yyy x", "curl -H bearer [redacted token] x"},
		{"bearer in prose", "invalid Bearer token: missing", "invalid Bearer token: missing"},
		{"basic", "Basic " + base64.StdEncoding.EncodeToString([]byte("user:pass")), "Basic [redacted credential]"},
		{"basic in prose", "Basic authentication", "Basic authentication"},
		{"AWS key id", "key ASIAIOSFODNN7EXAMPLE used", "key [redacted key] used"},
		{"AWS secret", "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG+bPxRfi region=eu", "aws_secret_access_key=[redacted password] region=eu"},
		{"Slack bot token", "xoxb-123-abcDEF x", "[redacted Slack token] x"},
		{"Slack app token", "xapp-1-A1-2-abc", "[redacted Slack token]"},
		{"Slack rotated token", "xoxe.xoxb-1-abc", "[redacted Slack token]"},
		{"Slack webhook", "https://hooks.slack.com/services/T0/B0/zzz", "https://hooks.slack.com/services/[redacted Slack token]"},
		{"password pair", "user=bob password=hunter2,!x kid=a", "user=bob password=[redacted password] kid=a"},
		{"password list", "password=hunter2,kid=a", "password=[redacted password],kid=a"},
		{"password in JSON", `{"db_password":"hun\"ter2","kid":"a"}`, `{"db_password":"[redacted password]","kid":"a"}`},
		{"password number in JSON", `{"password":12345,"kid":"a"}`, `{"password":[redacted password],"kid":"a"}`},
		{"password said", "Password: hunter2", "Password: [redacted password]"},
		{"password in a sentence", "the password is hunter2 now", "the password is [redacted password] now"},
		{"API key", "API key: abc123", "API key: [redacted password]"},
		{"authorisation code", "GET /cb?code=abc-123&state=x", "GET /cb?code=[redacted credential]&state=x"},
		{"reason of a request", "keys rotated at 02:40, secret rotated, token expired: kid a", "keys rotated at 02:40, secret rotated, token expired: kid a"},
		{"password flag", "psql --password hunter2 -x", "psql --password [redacted password] -x"},
		{"redis-cli", "redis-cli -h x -a hunter2 ping", "redis-cli -h x -a [redacted password] ping"},
		{"userinfo", "rediss://jwksbot:hunter2@cache:6379/0", "rediss://jwksbot:[redacted password]@cache:6379/0"},
		{"userinfo without user", "redis://:hun/ter2@cache:6379", "redis://:[redacted password]@cache:6379"},
		{"userinfo, a token alone", "https://zzz@github.com/x", "https://[redacted password]@github.com/x"},
		{"no userinfo", "https://host:8080/@scope/pkg?mail=a@b", "https://host:8080/@scope/pkg?mail=a@b"},
		{"presigned URL", "?X-Amz-Security-Token=abc%2F&X-Amz-Signature=123&b=1", "?X-Amz-Security-Token=[redacted password]&X-Amz-Signature=[redacted password]&b=1"},
		{"private key", "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", "a [redacted key] b"},
		{"private key, cut off", `a -----BEGIN PRIVATE KEY-----\nMIIE`, "a [redacted key]"},
		{"public key stays", "-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----"},
		{"JWK private members", `{"kty":"RSA","n":"abc","d":"x-y","k":"z"}`, `{"kty":"RSA","n":"abc","d":"[redacted key]","k":"[redacted key]"}`},
		{"JWK as node prints it", `{ kty: 'RSA', d: 'abcdefghijklmnopqrstuvwxyz' }`, `{ kty: 'RSA', d: '[redacted key]' }`},
		{"cookie", "Cookie: sid=1; t=2\nx", "Cookie: [redacted password]\nx"},
		{"kid stays", `JWK for kid "abc+/=_.-" not found`, `JWK for kid "abc+/=_.-" not found`},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Text(tt.in)
			if got != tt.want {
				t.Errorf("Redact(%q)\n got %q\nwant %q", tt.in, got, tt.want)
			}
			if again := Text(got); again != got {
				t.Errorf("redacted twice:\n got %q\nwant %q", again, got)
			}
		})
	}
}

// FuzzRedact plants a secret in each of its wrappings into any text and looks
// for it in what comes out.
func FuzzRedact(f *testing.F) {
	f.Add("2026-11-22T10:00:00Z 3f2a ERROR ", " not found", uint8(0))
	f.Add(`{"message":"`, `","kid":"a"}`, uint8(3))
	f.Add("redis://", "@host", uint8(7))
	f.Add("[redacted password]", "[redacted token]", uint8(9))
	f.Add("-----BEGIN PRIVATE KEY-----", "\\\\\"", uint8(12))
	f.Fuzz(func(t *testing.T, before, after string, kind uint8) {
		const secret = "Zq9vXplantedT0kenW7"
		if strings.Contains(before+after, "plantedT0ken") {
			return
		}
		wrapped := wrappings(secret)
		in := before + " " + wrapped[int(kind)%len(wrapped)] + " " + after
		got := Text(in)
		if strings.Contains(got, "plantedT0ken") {
			t.Fatalf("secret comes out:\n in %q\nout %q", in, got)
		}
		if again := Text(got); again != got {
			t.Fatalf("not idempotent:\nonce  %q\ntwice %q", got, again)
		}
	})
}

// wrappings are the places where a secret stands in logs and in what people type.
func wrappings(secret string) []string {
	return []string{
		testToken(`{"alg":"RS256"}`, `{"sub":"bob"}`, secret),
		testToken(`{"alg":"none","x":"y"}`, `{"sub":"bob"}`, "") + secret,
		"Authorization: Bearer " + secret,
		`{"authorization":"` + secret + `"}`,
		`{\"password\":\"` + secret + `\"}`,
		"password=" + secret,
		"client_secret: '" + secret + "'",
		"https://user:" + secret + "@host/path",
		"xoxb-1234-" + secret,
		"https://hooks.slack.com/services/T0/B0/" + secret,
		"aws_secret_access_key = " + secret,
		`{"kty":"oct","k":"` + secret + `"}`,
		"-----BEGIN EC PRIVATE KEY-----\n" + secret + "\n-----END EC PRIVATE KEY-----",
		"bearer " + secret,
	}
}

// The time is linear: a text of 128 KiB of the worst kinds is done at
// once; a quadratic pass would not end within the test's time limit.
func TestRedactLongText(t *testing.T) {
	for _, part := range []string{"://", "eyJ", "eyJ.", "a.", `"d":"`, `p:"`, "password=", "token=", "Bearer ", `\`, `\"`, "-----BEGIN PRIVATE KEY-----", "x:y@", ", a", "AKIA", "eyJhbGciOiJub25lIn0."} {
		s := strings.Repeat(part, 1<<17/len(part))
		if got := Text(s); len(got) > 8*len(s) {
			t.Errorf("%q grew to %d bytes", part, len(got))
		}
	}
}

// Patterns are compiled when they are first needed, which must not be the first
// time that somebody sees a mistake in one.
func TestPatternsCompile(t *testing.T) {
	for _, p := range plainSecrets {
		p.re()
	}
	for _, p := range namedSecrets {
		p.key()
	}
	pemBegin()
	pemEnd()
	authScheme()
	parameterScheme()
}
