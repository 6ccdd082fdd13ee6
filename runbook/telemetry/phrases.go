package telemetry

import (
	"regexp"
	"strings"
	"sync"

	"jwksbot/runbook"
)

// A rule decides for one class. Phrases are written folded (see automaton):
// lower case, blanks for '_' and '-', no quotes; each also matches without its
// blanks, as in the names of error classes.
type rule struct {
	class string
	any   []string              // one of these occurs,
	with  []string              // and, unless empty, one of these,
	not   []string              // and none of these,
	re    func() *regexp.Regexp // and, unless nil, this matches the line
}

// Words that say what a line is about.
var (
	aboutKeySet = phrases("jwks|jwk set|jwk|json web key|.well known/|openid configuration|signing keys|public keys|keys oidc")
	aboutTokens = phrases("jwt|jws|jwk|jose|jsonwebtoken|json web token|id token|access token|bearer|oidc|cognito|kid|token signature|signed jwt|idx10")
	aboutOthers = phrases("webhook|hmac|stripe|svix|twilio|x hub signature|x slack signature|certificate|x509|saml|gpg|pgp|request signature|signaturedoesnotmatch|" +
		"license|cookie|package|commit|binary|firmware|presigned|saml")
)

// rules is what is known of the messages of authoriser libraries, first fit
// first. The sources are in facts/jwks.md section 4 and in the libraries:
// aws-jwt-verify, node-jwks-rsa, jsonwebtoken, jose, PyJWT, python-jose,
// go-oidc, lestrrat jwx, golang-jwt, keyfunc, Nimbus and Spring Security,
// jwks-rsa-java, jjwt, .NET (IDX codes), php-jwt, ruby-jwt, the Rust crate
// jsonwebtoken, Envoy's jwt_verify_lib and lmammino/oidc-authorizer.
//
// The order carries meaning: a refresh that was logged together with the miss
// that caused it is a refresh; a key set that could not be fetched explains the
// failed verification that the same line ends with; and an unknown kid is more
// telling than the "invalid signature" that a caller made of it.
var rules = []rule{
	{class: runbook.ClassRefreshed,
		any: phrases("keys refreshed|jwks refreshed|refreshed jwks|refreshed the jwks|refreshed keys|refreshed signing keys|refreshed public keys|jwks cache refreshed|" +
			"key cache refreshed|jwks refresh succeeded|jwks refresh complete|jwks updated|jwks reloaded|reloaded jwks|jwks cache updated"),
		not: phrases("not refreshed|failed to|unable to|could not|cannot|refreshed too")},
	{class: runbook.ClassRefetchThrottled,
		any: phrases("waitperiodnotyetended|not allowed to fetch jwks yet|back off period to end|too many requests to the jwks|jwks rate limit|ratelimitreachedexception|" +
			"the rate limit has been reached|refetch throttled|jwks refresh throttled|jwks throttled|jwks fetch throttled|refresh rate limit|refreshed too recently|" +
			"refresh was too recent|skipping jwks refresh|jwks refresh skipped|jwks cooldown|jwks refetch limited|key refresh throttled|keys refresh throttled")},
	{class: runbook.ClassRefetchThrottled,
		any:  phrases("status code is 429|http 429|http error 429|http error: 429|status 429|status code 429|status code: 429|statuscode=429|status=429|429 too many|too many requests|rate limit exceeded|is rate limited|was rate limited|been rate limited"),
		with: aboutKeySet},
	{class: runbook.ClassNoKid,
		any: phrases("no kid specified|kid not found in token|kid not found in jwt|kid not found in header|kid not found in the token|kid not found in the jwt|kid not found in the header|" +
			"could not find kid in|no key id (kid) found|no key id (kid) specified|[kid] field is not a string|jwtwithoutvalidkid|does not have valid kid|does not have a valid kid")},
	{class: runbook.ClassDuplicateKid,
		any: phrases("duplicate kid|duplicated kid|duplicate key id|multiple keys with kid|multiple keys with the same kid|multiple keys with the same key id|" +
			"multiple keys match|multiple matching keys|more than one key with kid|more than one matching key|several keys with kid|ambiguous kid|ambiguous key id")},
	{class: runbook.ClassNoSigningKeys,
		any: phrases("contain any signing keys|contain any keys|contain any usable keys|contain any valid keys|no signing keys|no keys found in jwks|no keys found in the jwks|" +
			"no keys in jwks|no keys in the jwks|jwks contains no|jwks has no keys|empty jwks|jwks is empty|jwks empty|jwks does not contain any|keys array is empty|" +
			"have any valid public key|does not have [keys] field|jwk set is empty|jwk set contains no|key set contains no|no usable keys in"),
		not: phrases("cache")},
	{class: runbook.ClassJWKSParse,
		any: phrases("jwksvalidationerror|jwkvalidationerror|json web key set malformed|err jwks invalid|malformed jwk|jwks malformed|malformed key set|invalid jwks|jwks invalid|" +
			"jwks is an invalid json|jwks is invalid|jwks parse error|jwks parse failed|parse jwks|parse jwk|parse the jwks|parsing jwks|unmarshal jwk|decode jwks|decode keys|decoding jwks|" +
			"did not return a json object|pyjwkseterror|json web key set http response as json|[keys] in jwks is not|invalid jwk set|invalid json web key set|jwks rsa [n] or|jwks ec [x] or|jwks pem public key|jwks is not valid|jwks is not a valid"),
		not: phrases("will parse|successfully")},
	{class: runbook.ClassJWKSFetch,
		any: phrases("pyjwkclientconnection|fetcherror: failed to fetch|fail to fetch data from the url|nonretryablefetcherror|failed to fetch jwk|failed to fetch the jwks|failed to fetch keys|fetching keys oidc|" +
			"get keys failed|cannot obtain jwks|retrieve remote jwk|jwks remote fetch is failed|remote jwks fetch|jwks fetch failed|jwks fetch error|jwks fetch failure|error fetching jwks|" +
			"error fetching keys|fetch jwks failed|failed to retrieve jwks|unable to fetch jwks|could not fetch jwks|err jwks timeout|jwkstimeout:|" +
			"expected 200 ok from the json web key set|jwks request failed|jwks endpoint unreachable|jwks unreachable|jwks unavailable|failed to refresh jwks|failed to refresh keys|" +
			"jwks refresh failed|failed to load jwks|failed to download jwks|failed to get jwks|failed to update jwks|idx20803|idx20804|idx20807|jwks retrieval failed|error getting jwks"),
		not: phrases("redis|elasticache")},
	{class: runbook.ClassJWKSFetch,
		any:  phrases("failed to retrieve key"),
		with: phrases("error sending request|http status|timed out|connection|dns error")},
	{class: runbook.ClassUnknownKid,
		any: phrases("kid not found|kid notfound|signing key that matches|unknown kid|unrecognized kid|unknown key id|no applicable key found|jwks no matching key|expected jwk to be an object|" +
			"doesnt have key to match kid|jwks doesnt have key|no key for kid|no key with kid|no key found for kid|no key found with kid|no jwk for kid|no jwk found|no jwk with|no public key for kid|" +
			"no public key found for kid|no signing key for kid|no signing key found|find key with kid|find public key for kid|find key for kid|unable to match key|find key with key id|find key with id|" +
			"signingkeynotfound|kid invalid, unable to lookup|another algorithm expected, or no matching|signature verification key for jws|given key id was not found|" +
			"public key not found in jwks|not found in jwks|not found in the jwks|not in jwks|not in the jwks|missing from jwks|missing from the jwks|kid mismatch|jwk not found|jwks key not found|" +
			"no matching jwk|no matching kid|kid did not match|kid does not match|kid doesnt match|kid not in key set|find a signing key|find signing key|unable to find jwk|kid unknown|kid is unknown|" +
			"unknown signing key|did not match any keys|no keys match|find publickey|didnt find public key|find matching jwk|find matching key in jwks|idx10501|idx10516"),
		not: phrases("not found in cache|not in cache|not found in the cache")},
	{class: runbook.ClassUnknownKid,
		any: phrases("no matching key|no suitable key|no matching public key|signing key not found|public key not found|verification key not found|key id not found|does not match any key|" +
			"failed to find matching key|key is not found|could not read jwk from storage: key not found|failed to retrieve key|no key found"),
		with: phrases("jwt|jws|jwk|jwks|kid|key id|jose|jwt header|id token|access token|oidc"),
		not:  phrases("key exchange|host key|ssh|not found in cache|not in cache|not found in the cache")},
	{class: runbook.ClassNoKid,
		any: phrases("kid is missing|missing kid|kid missing|kid header missing|kid header is missing|missing the kid|missing a kid|missing key id|key id missing|key id is missing|" +
			"without kid|without a kid|no kid in token|no kid in jwt|no kid in header|no kid in the|no kid header|no kid claim|no kid found|no kid present|has no kid|have no kid|" +
			"kid empty|kid is empty|empty kid|no key id in|has no key id|have a key id|have a kid|kid is required|kid not present|kid is not present|kid undefined|kid is undefined|kid is null|" +
			"kid claim is missing|kid claim missing|kid claim not found|kid absent|idx10517|kid must be|kid is not set|kid not set")},
	{class: runbook.ClassNoKid, any: phrases("no kid"), re: eventName("no_kid")},
	{class: runbook.ClassUnknownKid,
		any:  phrases("not found|not be found|unknown|unrecogni|not exist|not present|not in|no match|unable to|could not|couldnt|cannot|cant find|failed to|did not find|missing from|no key|no public|no signing|no verification"),
		with: phrases("kid|key id|jwk|signing key|public key|verification key"),
		not:  phrases("ssh|not found in cache|not in cache|not found in the cache|access key id|kms"),
		re:   missingKey},
	{class: runbook.ClassJWKSParse,
		any: phrases("unexpected token|unexpected end of json|not valid json|invalid json|jsondecodeerror|json.decoder|syntaxerror|cannot unmarshal|invalid character|" +
			"failed to parse|failed to unmarshal|failed to decode|failed to deserialize|expecting value"),
		with: phrases("jwks|jwk set|json web key|jwk"),
		not:  phrases("jwt malformed|parse token|parse jwt|parse the token|signature|redis|elasticache")},
	{class: runbook.ClassJWKSFetch,
		any: phrases("failed to fetch|failed fetching|fetch failed|fail to fetch|could not fetch|couldnt fetch|cannot fetch|unable to fetch|error fetching|unable to retrieve|could not retrieve|" +
			"couldnt retrieve|failed to retrieve|failed to download|could not download|unable to obtain|unable to download|timed out|time out (|i/o timeout|timeout exceeded|timeout after|" +
			"context deadline exceeded|client.timeout exceeded|econnrefused|econnreset|enotfound|etimedout|eai again|socket hang up|connection refused|connection reset|connection error|" +
			"connection timeout|connect timeout|read timeout|no such host|name or service not known|getaddrinfo|expected 200|http error|status code is 4|status code is 5|unexpected status|" +
			"non 200|bad gateway|service unavailable|gateway timeout|error sending request|unreachable|certificate has expired|certificate verify failed|certificate signed by unknown|" +
			"verify the first certificate|unable to get local issuer|self signed certificate|x509:|tls handshake|network error|failed to refresh|unable to refresh|could not refresh|refresh failed|" +
			"i/o error on get|failed to load|unable to load|could not load"),
		with: aboutKeySet,
		not:  phrases("redis|elasticache|:6379|jwks cache error")},
	{class: runbook.ClassNoKey,
		any: phrases("secret or public key must be provided|no security keys were provided|no keyfunc was provided|key material not provided|idx10500|jwks not loaded|no keys loaded|" +
			"no public keys available|no verification key|no verification keys")},
	{class: runbook.ClassNoKey,
		any:  phrases("no key provided|no public key provided|no keys available|no key available|key is undefined|key must not be null|key cannot be null|key is required"),
		with: aboutTokens},
	{class: runbook.ClassNoKey, any: phrases("no key"), re: eventName("no_key")},
	{class: runbook.ClassClock,
		any: phrases("jwt not active|notbeforeerror|token not active|token is not active|jwtnotbefore|be used before|used before issued|before the nbf|" +
			"nbf claim timestamp check failed|iat claim timestamp check failed|nbf not satisfied|iat not satisfied|immature signature|nbf has not been reached|handle token prior to|" +
			"handle token with iat prior|handle token with nbf prior|prematurejwt|not be accepted before|jwt used before|token used before|issued in the future|iat is in the future|" +
			"iat in the future|issued at in the future|invalid iat|invalidissuedat|jwt not yet valid|idx10222|clock skew detected|clock skew too|clock drift detected|clock skew exceeded|" +
			"token issued in future|nbf in the future|nbf is in the future|nbf claim not valid until|token will be active at")},
	{class: runbook.ClassClock,
		any:  phrases("not yet valid|not valid yet|not active yet"),
		with: phrases("jwt|token|nbf|iat|jose|bearer"),
		not:  phrases("certificate|x509")},
	{class: runbook.ClassExpired,
		any: phrases("jwt expired|jwt is expired|jwt has expired|token expired|token is expired|token has expired|token has invalid claims: token is expired|signature has expired|expired token|expired jwt|" +
			"expired signature|exp claim timestamp check failed|exp not satisfied|err jwt expired|idx10223|exp claim is in the past|exp claim has passed|exp claim expired|jwt is no longer valid|token is no longer valid"),
		not: phrases("refresh token expired|refresh token has expired|refresh token is expired|security token included|expiredtokenexception|csrf|requestexpired")},
	{class: runbook.ClassIssuer,
		any: phrases("issuer not allowed|jwtinvalidissuer|invalid issuer|issuer invalid|wrong issuer|issuer mismatch|issuer does not match|issuer did not match|issuer doesnt match|issuers do not match|" +
			"unexpected issuer|unknown issuer|untrusted issuer|unaccepted issuer|issuer is not configured|issuer not trusted|issuer is not trusted|issuer validation failed|" +
			"issued by a different provider|unexpected iss claim|iss not satisfied|iss claim is not valid|iss claim mismatch|claim iss value|expected iss claim|issuer is invalid|" +
			"iss invalid|invalid iss|idx10205|idx10211|issuer is not allowed|issuer not accepted|iss mismatch|unsupported issuer|iss does not match|required issuer|invalid token issuer|invalid claim iss|iss claim value|issuer (iss) claim"),
		not: phrases("certificate|x509|local issuer")},
	{class: runbook.ClassAudience,
		any: phrases("invalid audience|audience invalid|audience mismatch|audience doesnt match|audience does not match|audience did not match|audience not allowed|wrong audience|unexpected audience|" +
			"expected audience|audience is not|audience is invalid|audiences in jwt are not allowed|jwtinvalidaudience|unexpected aud claim|aud not satisfied|aud claim is not valid|" +
			"aud claim mismatch|claim aud value|expected aud claim|client id not allowed|jwtinvalidclientid|not issued for this audience|idx10206|idx10208|idx10214|" +
			"audience validation failed|token use not allowed|jwtinvalidtokenuse|invalid aud|aud invalid|aud mismatch|unaccepted audience|missing audience|missing aud|audience not accepted|aud does not match|invalid token audience|invalid claim aud|aud claim value|audience (aud) claim")},
	{class: runbook.ClassBadSignature,
		any: phrases("jwtinvalidsignature|jws signature verification failed|err jws signature verification failed|jwt verification fails|jwt verification failed|jwt signature does not match|" +
			"square/go jose: error in cryptographic|go jose/go jose: error in cryptographic|could not verify message using any|token signature is invalid|tokens signature resulted invalid|" +
			"signature resulted invalid|verify id token signature|signed jwt rejected: invalid signature|idx10511|jwt signature is invalid|invalid jwt signature|" +
			"invalid token signature|jwt signature verification failed|jwt invalid signature|crypto/rsa: verification error|crypto/ecdsa: verification error|ecdsa verification failed|ed25519: verification error")},
	{class: runbook.ClassBadSignature,
		any:  badSignature,
		with: aboutTokens,
		not:  phrases("webhook|svix|stripe")},
	{class: runbook.ClassBadSignature, any: badSignature, not: aboutOthers},
	{class: runbook.ClassColdCache,
		any: phrases("not yet available in cache|jwksnotavailableincache|jwks cache miss|jwks cache is empty|jwks cache empty|cold cache|no cached jwks|no jwks in cache|jwks not in cache|jwks not cached|" +
			"jwks not found in cache|no cached keys|key cache miss")},
	{class: runbook.ClassColdCache,
		any:  phrases("not found in cache|not in cache|not found in the cache|cache miss|cache is empty"),
		with: phrases("jwks|jwk|kid|signing key|public key")},
	{class: runbook.ClassJWKSFetch, any: phrases("jwkserror:|jwkserror http")}, // node-jwks-rsa, whose message is the answer's body
	{class: runbook.ClassJWKSFetch, any: values("jwks fetch")},
	{class: runbook.ClassJWKSParse, any: values("jwks parse")},
	{class: runbook.ClassExpired, any: values("expired")},
	{class: runbook.ClassClock, any: values("clock", "clock skew")},
	{class: runbook.ClassIssuer, any: values("issuer")},
	{class: runbook.ClassAudience, any: values("audience")},
}

// badSignature are phrases that other things than tokens use, too.
var badSignature = phrases("invalid signature|signature invalid|signature is invalid|signature verification failed|signature validation failed|signature verification error|" +
	"signature verification raised|signature verification failure|signature check failed|bad signature|wrong signature|signature mismatch|signature does not match|signature did not match|signature doesnt match|" +
	"signature not valid|signature is not valid|failed to verify signature|could not verify signature|couldnt verify signature|unable to verify signature|cannot verify signature|" +
	"failed to verify the signature|failed to verify jws|failed to verify jwt|verificationerror|signature error|error in cryptographic primitive")

// pattern is a regular expression that is compiled when it is first needed, as
// in package runbook: most programs that start never read such a line.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// missingKey is a sentence that says of one key, by kid or by kind, that it is
// not there. The parts must stand next to each other: structured lines carry a
// kid beside messages about anything ("user not found").
var missingKey = pattern(`(?i)` +
	`(?:kid|key[ _-]?id|jwk|signing key|public key|verification key|key (?:with|for) (?:id|kid))["'\\ :=\[(<` + "`" + `]{0,4}[\w+/=.~-]*["'\\\])>` + "`" + `]{0,4},? ?(?:was |is |could |does )?` +
	`(?:not found|not be found|unknown|unrecogni[sz]ed|not exist|not present|not in (?:the )?(?:jwk|key|set)|not match|missing from)` +
	`|(?:unable to|could not|couldn['’]?t|cannot|can['’]?t|failed to|did not|didn['’]?t) (?:find|match|locate|resolve)(?: (?:any|an?|the|valid|suitable|applicable|corresponding|matching|appropriate|rsa|usable))*` +
	` (?:signing key|public key|verification key|jwk|kid|key id|keys? [^{},;"]{0,60}?(?:kid|jwks?|jwt|key ?set))` +
	`|\bno(?: (?:valid|suitable|applicable|corresponding|matching|appropriate|rsa|usable|such))* (?:signing key|public key|verification key|jwk|keys?)\b[^{},;"]{0,60}?\b(?:kid|jwks?|jwt|key ?set|key ?id)\b`)

// eventName matches a name that stands alone as the value of a field.
func eventName(name string) func() *regexp.Regexp {
	return pattern(`(?i)(?:[:=]\s*["'\\]{0,8}|^|\s)` + name + `(?:["'\\]|[,}\s]|$)`)
}

// values are the folded forms of a field that names the class itself.
func values(names ...string) []string {
	var v []string
	for _, n := range names {
		for _, field := range []string{"reason", "error", "class", "event", "code", "err"} {
			for _, sep := range []string{":", ": ", "="} {
				v = append(v, field+sep+n)
			}
		}
	}
	return v
}

func phrases(s string) []string { return strings.Split(s, "|") }
