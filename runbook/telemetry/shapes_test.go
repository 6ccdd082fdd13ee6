package telemetry

import (
	"encoding/base64"
	"testing"
)

// shape is a line as a library or a handler writes it.
type shape struct{ line, kid, class string }

// testToken is a token with the header and claims given, signed by nobody.
func testToken(header, claims string) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(header)) + "." + e([]byte(claims)) + ".c2lnbmF0dXJl"
}

var tokenWithKid = testToken(`{"alg":"RS256","kid":"from+token/1="}`, `{"iss":"https://idp.example"}`)

// shapes are beyond the samples of facts/log-lines.tsv: messages of the
// libraries, read in their sources, in the wrappings that logs put around them.
var shapes = []shape{
	// aws-jwt-verify
	{`JwtWithoutValidKidError: JWT header does not have valid kid claim`, "", "no_kid"},
	{`KidNotFoundInJwksError: JWK for kid k1 not found in the JWKS`, "k1", "unknown_kid"},
	{`JwksNotAvailableInCacheError: JWKS for uri https://idp/jwks.json not yet available in cache`, "", "cold_cache"},
	{`JwksValidationError: JWKS does not include keys`, "", "jwks_parse"},
	{`FetchError: Failed to fetch https://idp/.well-known/jwks.json: Response time-out (after 3000 ms.)`, "", "jwks_fetch"},
	{`FetchError: Failed to fetch https://idp/.well-known/jwks.json: getaddrinfo ENOTFOUND idp`, "", "jwks_fetch"},
	{`NonRetryableFetchError: Failed to fetch https://idp/jwks.json: Status code is 429, expected 200`, "", "refetch_throttled"},
	{`JwtExpiredError: Token expired at 2026-11-22T10:00:00.000Z`, "", "expired"},
	{`JwtNotBeforeError: Token can't be used before 2026-11-22T10:00:00.000Z`, "", "clock"},
	{`CognitoJwtInvalidClientIdError: Client ID not allowed: abc. Expected: def`, "", "audience"},
	{`CognitoJwtInvalidTokenUseError: Token use not allowed: id. Expected: access`, "", "audience"},
	// node-jwks-rsa and jsonwebtoken
	{`SigningKeyNotFoundError: Unable to find a signing key that matches 'k/1='`, "k/1=", "unknown_kid"},
	{`JwksRateLimitError: Too many requests to the JWKS endpoint`, "", "refetch_throttled"},
	{`TokenExpiredError: jwt expired`, "", "expired"},
	{`JsonWebTokenError: jwt audience invalid. expected: api`, "", "audience"},
	{`JsonWebTokenError: jwt issuer invalid. expected: https://idp`, "", "issuer"},
	{`JsonWebTokenError: secret or public key must be provided`, "", "no_key"},
	{`JsonWebTokenError: error in secret or public key callback: The JWKS endpoint did not contain any signing keys`, "", "no_signing_keys"},
	{`JsonWebTokenError: error in secret or public key callback: connect ECONNREFUSED 10.0.0.1:443 fetching jwks`, "", "jwks_fetch"},
	{`JsonWebTokenError: invalid signature for token ` + tokenWithKid, "from+token/1=", "bad_signature"},
	// jose
	{`JWKSNoMatchingKey: no applicable key found in the JSON Web Key Set`, "", "unknown_kid"},
	{`{"code":"ERR_JWKS_NO_MATCHING_KEY","name":"JWKSNoMatchingKey","header":{"alg":"RS256","kid":"k1"}}`, "k1", "unknown_kid"},
	{`JWKSMultipleMatchingKeys: multiple matching keys found in the JSON Web Key Set`, "", "duplicate_kid"},
	{`JWKSTimeout: request timed out code: 'ERR_JWKS_TIMEOUT'`, "", "jwks_fetch"},
	{`JWKSInvalid: JSON Web Key Set malformed`, "", "jwks_parse"},
	{`JOSEError: Expected 200 OK from the JSON Web Key Set HTTP response`, "", "jwks_fetch"},
	{`JOSEError: Failed to parse the JSON Web Key Set HTTP response as JSON`, "", "jwks_parse"},
	{`JWTExpired: "exp" claim timestamp check failed`, "", "expired"},
	{`JWTClaimValidationFailed: "nbf" claim timestamp check failed`, "", "clock"},
	{`JWTClaimValidationFailed: unexpected "iss" claim value`, "", "issuer"},
	{`{"message":"unexpected \"aud\" claim value"}`, "", "audience"},
	// PyJWT, python-jose, the AWS sample
	{`jwt.exceptions.PyJWKClientError: The JWKS endpoint did not return a JSON object`, "", "jwks_parse"},
	{`jwt.exceptions.PyJWKSetError: The JWK Set did not contain any usable keys`, "", "no_signing_keys"},
	{`jwt.exceptions.ExpiredSignatureError: Signature has expired`, "", "expired"},
	{`jwt.exceptions.ImmatureSignatureError: The token is not yet valid (iat)`, "", "clock"},
	{`jwt.exceptions.InvalidAudienceError: Audience doesn't match`, "", "audience"},
	{`jwt.exceptions.InvalidIssuerError: Invalid issuer`, "", "issuer"},
	{`jose.exceptions.JWTError: Signature verification failed.`, "", "bad_signature"},
	{`Public key not found in jwks.json`, "", "unknown_kid"},
	{`Token is expired`, "", "expired"},
	{`Token was not issued for this audience`, "", "audience"},
	{"Traceback (most recent call last):\n  File \"/var/task/app.py\", line 3, in handler\njwt.exceptions.PyJWKClientError: Unable to find a signing key that matches: \"k1\"", "k1", "unknown_kid"},
	// Go
	{`oidc: failed to verify signature: failed to verify id token signature`, "", "bad_signature"},
	{`failed to verify signature: fetching keys oidc: get keys failed Get "https://idp/jwks": dial tcp: lookup idp: no such host`, "", "jwks_fetch"},
	{`oidc: id token issued by a different provider, expected "https://a" got "https://b"`, "", "issuer"},
	{`oidc: expected audience "x" got ["y"]`, "", "audience"},
	{`oidc: token is expired (Token Expiry: 2026-11-22 10:00:00 +0000 UTC)`, "", "expired"},
	{`oidc: current time 2026-11-22 10:00:00 before the nbf (not before) time: 2026-11-22 11:00:00`, "", "clock"},
	{`jwt.Parse: failed to parse token: jws.Verify: could not verify message using any of the signatures or keys`, "", "bad_signature"},
	{`failed to find key with key ID "k1" in key set`, "k1", "unknown_kid"},
	{`"exp" not satisfied`, "", "expired"},
	{`level=error msg="jwt: \"nbf\" not satisfied"`, "", "clock"},
	{`token signature is invalid: crypto/rsa: verification error`, "", "bad_signature"},
	{`token has invalid claims: token is expired`, "", "expired"},
	{`token is unverifiable: error while executing keyfunc: failed keyfunc: could not read JWK from storage: key not found: kid "k1"`, "k1", "unknown_kid"},
	{`the given key ID was not found in the JWKS`, "", "unknown_kid"},
	{`the JWT has an invalid kid: could not find kid in JWT header`, "", "no_kid"},
	{`square/go-jose: error in cryptographic primitive`, "", "bad_signature"},
	{`time=2026-11-22T10:00:00Z level=WARN msg="no matching key" kid=k1 err="jwks lookup"`, "k1", "unknown_kid"},
	// Java
	{`com.nimbusds.jose.proc.BadJOSEException: Signed JWT rejected: Another algorithm expected, or no matching key(s) found`, "", "unknown_kid"},
	{"org.springframework.security.oauth2.jwt.BadJwtException: An error occurred while attempting to decode the Jwt: Signed JWT rejected: Invalid signature\n\tat org.springframework.security.oauth2.jwt.NimbusJwtDecoder.createJwt(NimbusJwtDecoder.java:182)", "", "bad_signature"},
	{`com.nimbusds.jose.RemoteKeySourceException: Couldn't retrieve remote JWK set: Read timed out`, "", "jwks_fetch"},
	{`An error occurred while attempting to decode the Jwt: Malformed Jwk set`, "", "jwks_parse"},
	{`An error occurred while attempting to decode the Jwt: Jwt expired at 2026-11-22T10:00:00Z`, "", "expired"},
	{`Jwt used before 2026-11-22T10:00:00Z`, "", "clock"},
	{`The iss claim is not valid`, "", "issuer"},
	{`com.auth0.jwk.SigningKeyNotFoundException: No key found in https://idp/.well-known/jwks.json with kid k1`, "k1", "unknown_kid"},
	{`com.auth0.jwk.SigningKeyNotFoundException: Cannot obtain jwks from url https://idp/.well-known/jwks.json`, "", "jwks_fetch"},
	{`com.auth0.jwk.RateLimitReachedException: The Rate Limit has been reached! Please wait 4999 milliseconds.`, "", "refetch_throttled"},
	{`The Token's Signature resulted invalid when verified using the Algorithm: SHA256withRSA`, "", "bad_signature"},
	{`The Claim 'iss' value doesn't match the required issuer.`, "", "issuer"},
	{`io.jsonwebtoken.security.SignatureException: JWT signature does not match locally computed signature. JWT validity cannot be asserted and should not be trusted.`, "", "bad_signature"},
	{`io.jsonwebtoken.UnsupportedJwtException: Cannot verify JWS signature: unable to locate signature verification key for JWS with header: {alg=RS256, kid=k1}`, "k1", "unknown_kid"},
	{`io.jsonwebtoken.ExpiredJwtException: JWT expired at 2026-11-22T10:00:00Z. Allowed clock skew: 0 milliseconds.`, "", "expired"},
	{`io.jsonwebtoken.PrematureJwtException: JWT must not be accepted before 2026-11-22T10:00:00Z`, "", "clock"},
	// .NET
	{`IDX10501: Signature validation failed. Unable to match key: kid: 'k1'. Number of keys in Configuration: '2'.`, "k1", "unknown_kid"},
	{`IDX10511: Signature validation failed. Keys tried: 'Microsoft.IdentityModel.Tokens.RsaSecurityKey, KeyId: 'other', InternalId: 'x'.' kid: 'k1'.`, "k1", "bad_signature"},
	{`IDX10500: Signature validation failed. No security keys were provided to validate the signature.`, "", "no_key"},
	{`IDX10517: Signature validation failed. The token's kid is missing.`, "", "no_kid"},
	{`IDX10223: Lifetime validation failed. The token is expired. ValidTo (UTC): '11/22/2026'`, "", "expired"},
	{`IDX10222: Lifetime validation failed. The token is not yet valid.`, "", "clock"},
	{`IDX10205: Issuer validation failed. Issuer: 'https://b'. Did not match`, "", "issuer"},
	{`IDX10214: Audience validation failed. Audiences: 'x'.`, "", "audience"},
	{`IDX20803: Unable to obtain configuration from: 'https://idp/.well-known/openid-configuration'.`, "", "jwks_fetch"},
	// PHP, Ruby, Rust, Envoy
	{`Firebase\JWT\SignatureInvalidException: Signature verification failed`, "", "bad_signature"},
	{`UnexpectedValueException: "kid" empty, unable to lookup correct key`, "", "no_kid"},
	{`UnexpectedValueException: "kid" invalid, unable to lookup correct key`, "", "unknown_kid"},
	{`OutOfBoundsException: Key ID not found`, "", "unknown_kid"},
	{`Firebase\JWT\ExpiredException: Expired token`, "", "expired"},
	{`Firebase\JWT\BeforeValidException: Cannot handle token with iat prior to 2026-11-22T10:00:00+0000`, "", "clock"},
	{`UnexpectedValueException: HTTP Error: 503 Service Unavailable for URI "https://idp/.well-known/jwks.json"`, "", "jwks_fetch"},
	{`JWT::DecodeError: Could not find public key for kid k-1`, "k-1", "unknown_kid"},
	{`JWT::DecodeError: No key id (kid) found from token headers`, "", "no_kid"},
	{`JWT::VerificationError: Signature verification raised`, "", "bad_signature"},
	{`JWT::ExpiredSignature: Signature has expired`, "", "expired"},
	{`JWT::ImmatureSignature: Signature nbf has not been reached`, "", "clock"},
	{`JWT::InvalidIssuerError: Invalid issuer. Expected https://a, received https://b`, "", "issuer"},
	{`Error(InvalidSignature)`, "", "bad_signature"},
	{`token rejected: ExpiredSignature`, "", "expired"},
	{`Failed to validate token (token='` + tokenWithKid + `'): InvalidSignature`, "from+token/1=", "bad_signature"},
	{`Failed to retrieve key (key_id='k1'): error sending request for url (https://idp/jwks)`, "k1", "jwks_fetch"},
	{`Jwt verification fails`, "", "bad_signature"},
	{`Jwt is expired`, "", "expired"},
	{`Jwks remote fetch is failed`, "", "jwks_fetch"},
	{`Audiences in Jwt are not allowed`, "", "audience"},
	{`Jwt issuer is not configured`, "", "issuer"},
	{`Missing kid in token header (token_header='Header { typ: Some("JWT"), alg: RS256, kid: None }')`, "", "no_kid"},
	{`invalid signature (token_header='Header { typ: Some("JWT"), alg: RS256, kid: Some("k1") }')`, "k1", "bad_signature"},
	{`no key ID ("kid") specified in token but multiple keys available in key set`, "", "no_kid"},
	{`IDX10503: Signature validation failed. The token's kid is: 'k1', but did not match any keys in TokenValidationParameters or Configuration.`, "k1", "unknown_kid"},
	{`Jwks doesn't have any valid public key`, "", "no_signing_keys"},
	{`JwksError: Http Error 503`, "", "jwks_fetch"},
	{`JwksError: <html><head><title>503 Service Temporarily Unavailable</title></head></html>`, "", "jwks_fetch"},
	{`Unable to find a suitable verification key for JWS w/ header {"kid":"k1","alg":"RS256"}`, "k1", "unknown_kid"},
	{`JWT rejected due to invalid signature`, "", "bad_signature"},
	{`Didn't find publicKey for specified kid`, "", "unknown_kid"},
	{`'exp' claim expired at Sun, 22 Nov 2026 10:00:00 GMT`, "", "expired"},
	{`invalid_claim: Invalid claim 'iss'`, "", "issuer"},
	{`Signing key not found: kid='k1'`, "k1", "unknown_kid"},
	{`kid 'k1' not found in JWKS cache — refreshing`, "k1", "unknown_kid"},
	{`JWK for kid mykey not found in the JWKS`, "mykey", "unknown_kid"},
	{`invalid signature map[alg:RS256 kid:k1 typ:JWT]`, "k1", "bad_signature"},
	{`invalid signature {"alg"=>"RS256", "kid"=>"k1"}`, "k1", "bad_signature"},
	{"invalid signature Array\n(\n [kid] => k1\n)", "k1", "bad_signature"},
	{`{"level":"ERROR","stack_trace":"com.auth0.jwk.SigningKeyNotFoundException: No key found in https://idp/.well-known/jwks.json with kid k1\n\tat com.auth0.jwk.RateLimitedJwkProvider.get(RateLimitedJwkProvider.java:40)"}`, "k1", "unknown_kid"},
	// Wrappings and events of handlers
	{"2026-11-22T10:00:00.000Z\t3f2a-1\tERROR\tJsonWebTokenError: invalid signature", "", "bad_signature"},
	{"2026-11-22T10:00:00.000Z\t3f2a-1\tERROR\tInvoke Error \t{\"errorType\":\"JsonWebTokenError\",\"errorMessage\":\"invalid signature\",\"kid\":\"k1\",\"stack\":[\"JsonWebTokenError: invalid signature\"]}", "k1", "bad_signature"},
	{`{"level":"WARN","event":"invalid_signature","kid":"k1","iss":"https://idp"}`, "k1", "bad_signature"},
	{`{"level":"WARN","event":"invalid_signature","reason":"kid not found in jwks","kid":"k1"}`, "k1", "unknown_kid"},
	{`{"fields":{"message":"unknown kid","key_id":"k1"}}`, "k1", "unknown_kid"},
	{`{"err":{"message":"invalid signature"},"header":{"alg":"RS256","kid":"k1"}}`, "k1", "bad_signature"},
	{`{"message":"{\"error\":\"invalid signature\",\"kid\":\"k1\"}"}`, "k1", "bad_signature"},
	{`{"message":"signature verification failed","tokenKid":"k1"}`, "k1", "bad_signature"},
	{`{"message":"signature verification failed","keyId":"k1"}`, "k1", "bad_signature"},
	{`{"message":"signature verification failed","header.kid":"k1"}`, "k1", "bad_signature"},
	{`{"message":"signature verification failed","kid":null}`, "", "bad_signature"},
	{`{ error: 'invalid signature', header: { alg: 'RS256', kid: 'k1' } }`, "k1", "bad_signature"},
	{`unknown_kid kid=k1`, "k1", "unknown_kid"},
	{`reason=kid_not_found kid="a+b/c="`, "a+b/c=", "unknown_kid"},
	{`{"error":"jwks_fetch_failed","url":"https://idp/jwks"}`, "", "jwks_fetch"},
	{`{"error":"no_kid"}`, "", "no_kid"},
	{`{"error":"no_key"}`, "", "no_key"},
	{`{"reason":"expired","kid":"k1"}`, "k1", "expired"},
	{`{"error":"token_expired"}`, "", "expired"},
	{`INVALID_SIGNATURE key_id='k1'`, "k1", "bad_signature"},
	{`invalid_signature for key key-2026 not found in JWKS`, "key-2026", "unknown_kid"},
	{`No matching key found in JWKS for kid: k1.`, "k1", "unknown_kid"},
	{`kid [k1] was not found`, "k1", "unknown_kid"},
	{`JWKS refreshed, 2 keys`, "", "refreshed"},
}

func TestShapes(t *testing.T) {
	c := newTestClassifier(t)
	for _, s := range shapes {
		class, kid, _ := c.Line(s.line)
		if class != s.class || kid != s.kid {
			t.Errorf("%s\n got %q, kid %q\nwant %q, kid %q", s.line, class, kid, s.class, s.kid)
		}
	}
}

// Lines that look like failures to a careless reader.
func TestNoFailure(t *testing.T) {
	c := newTestClassifier(t)
	for _, line := range []string{
		"",
		`START RequestId: 3f2a Version: $LATEST`,
		`REPORT RequestId: 3f2a Duration: 2.10 ms Billed Duration: 3 ms Memory Size: 128 MB`,
		`{"level":"info","message":"token validated","kid":"k1","iss":"https://idp","aud":"api"}`,
		`Signature verified with key k1`,
		`user not found`,
		`{"message":"user not found","kid":"k1"}`,
		`kid=k1 msg="user not found"`,
		`{"kid":"k1","error":"order unknown"}`,
		`invalid signature for webhook`,
		`Webhook signature verification failed: No signatures found matching the expected signature for payload`,
		`stripe: invalid signature`,
		`SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided`,
		`10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "GET /docs/invalid_signature HTTP/1.1" 200 12`,
		`10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "GET /jwks.json?kid=unknown_kid HTTP/1.1" 404 12 "-" "not found"`,
		`redis: key not found: session:42`,
		`ERROR: relation "keys" does not exist`,
		`key not found`,
		`no matching key exchange method found`,
		`certificate has expired`,
		`x509: certificate is not yet valid`,
		`session expired for user bob`,
		`refresh token expired`,
		`ExpiredTokenException: The security token included in the request is expired`,
		`cache entry expired`,
		`Redis connection refused while reading jwks cache`,
		`config: jwks_uri=https://idp/jwks clock_skew=30 issuer=https://idp audience=api`,
		`{"invalid_signature":0,"token_expired": 0,"ok":12}`,
		`{"_aws":{"CloudWatchMetrics":[{"Metrics":[{"Name":"invalid_signature"}]}]},"invalid_signature":3}`,
		`{"checks":{"unknown_kid":false,"no_kid":false}}`,
		`Fetched JWKS from https://idp/.well-known/jwks.json in 20 ms`,
		`Looking up kid k1 in JWKS`,
		`Fetching signing key for kid k1`,
		`the kidney was not found`,
		`package signature verification failed: gpg: bad signature`,
		`Loaded 3 public keys`,
		`JwksCacheError: GET jwks:current: dial tcp 127.0.0.1:6379: connect: connection refused`,
		`{"event":"token_accepted","kid":"k1"}`,
		`Invalid input: amount must be positive`,
		`failed to load profile of user 12: not found`,
		`rate limited client 10.0.0.1: too many requests`,
		`aws_access_key_id=x not found`,
	} {
		if class, kid, ok := c.Line(line); ok {
			t.Errorf("%s\ngot %q, kid %q, want nothing", line, class, kid)
		}
	}
}
