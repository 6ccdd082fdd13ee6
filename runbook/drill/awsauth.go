package drill

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// callerARN is who every signed request comes from.
const callerARN = "arn:aws:sts::" + Account + ":assumed-role/jwksbot/drill"

// sigV4 is the Authorization header of a signed request.
var sigV4 = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=[0-9a-f]{64}$`)
})

// sigV4Credential is the same statement in the query of a presigned request.
var sigV4Credential = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request$`)
})

// checkSignature refuses requests that are not signed for this service and
// region, in the order and words of AWS. The signature itself is not computed:
// any key id and secret will do.
func checkSignature(s service, r *http.Request) error {
	var region, scope string
	header := r.Header.Get("Authorization")
	query := r.URL.Query()
	switch {
	case header != "":
		m := sigV4().FindStringSubmatch(header)
		if m == nil || r.Header.Get("X-Amz-Date") == "" {
			return s.protocol.malformedHeader
		}
		region, scope = m[3], m[4]
	case query.Get("X-Amz-Signature") != "":
		m := sigV4Credential().FindStringSubmatch(query.Get("X-Amz-Credential"))
		if m == nil {
			return s.protocol.malformedHeader
		}
		region, scope = m[3], m[4]
	default:
		return s.protocol.missingToken
	}
	bad := s.protocol.badSignature
	if scope != s.scope {
		bad.message = fmt.Sprintf("Credential should be scoped to correct service: '%s'.", s.scope)
		return bad
	}
	if region != Region && s.scope != "sts" { // STS has a global endpoint, signed for us-east-1
		bad.message = fmt.Sprintf("Credential should be scoped to a valid region, not '%s'.", region)
		return bad
	}
	return nil
}

// pathOperation recognises Smithy RPC: /service/NAME/operation/OPERATION.
func pathOperation(service string) func(awsCall) (string, bool) {
	return func(c awsCall) (string, bool) {
		return strings.CutPrefix(c.URL.Path, "/service/"+service+"/operation/")
	}
}

// targetOperation recognises awsJson: X-Amz-Target: TARGET.OPERATION.
func targetOperation(target string) func(awsCall) (string, bool) {
	return func(c awsCall) (string, bool) {
		return strings.CutPrefix(c.Header.Get("X-Amz-Target"), target+".")
	}
}

// formOperation recognises awsQuery by its API version, in the body or, for
// presigned requests, in the query.
func formOperation(version string) func(awsCall) (string, bool) {
	return func(c awsCall) (string, bool) {
		form := c.form()
		return form.Get("Action"), form.Get("Version") == version
	}
}
