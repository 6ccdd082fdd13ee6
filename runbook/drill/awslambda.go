package drill

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// restProtocol is restJson1: the error's name is in a header.
var restProtocol = protocol{
	write:           writeRESTError,
	unknown:         apiError{http.StatusNotFound, "UnknownOperationException", "unknown operation"},
	missingToken:    apiError{http.StatusForbidden, "MissingAuthenticationTokenException", textMissingToken},
	malformedHeader: apiError{http.StatusForbidden, "IncompleteSignatureException", textIncomplete},
	badSignature:    apiError{http.StatusForbidden, "InvalidSignatureException", ""},
	denied:          apiError{http.StatusForbidden, "AccessDeniedException", ""},
	throttled:       apiError{http.StatusTooManyRequests, "TooManyRequestsException", textThrottled},
}

var updateInProgress = apiError{http.StatusConflict, "ResourceConflictException",
	"The operation cannot be performed at this time. An update is in progress for resource: " + functionARN}

func precondition(in, is document) error {
	if rev, ok := in["RevisionId"]; ok && rev != is["RevisionId"] {
		return apiError{http.StatusPreconditionFailed, "PreconditionFailedException",
			"The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"}
	}
	return nil
}

func notThere(format string, args ...any) apiError {
	return apiError{http.StatusNotFound, "ResourceNotFoundException", fmt.Sprintf(format, args...)}
}

func invalidValue(format string, args ...any) apiError {
	return apiError{http.StatusBadRequest, "InvalidParameterValueException", fmt.Sprintf(format, args...)}
}

func writeREST(rw http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_, _ = rw.Write(b) // the client may have gone
	return nil
}

func writeRESTError(rw http.ResponseWriter, e apiError) {
	rw.Header().Set("X-Amzn-Errortype", e.code)
	_ = writeREST(rw, e.status, map[string]string{"Type": "User", "message": e.message})
}

// restRoute is an operation that is told by method and path.
type restRoute struct {
	method    string
	path      *regexp.Regexp
	operation string
}

func route(method, path, operation string) restRoute {
	return restRoute{method, regexp.MustCompile("^" + strings.ReplaceAll(path, "{}", "([^/]+)") + "$"), operation}
}

// restOperation recognises the paths of a service below its prefixes.
func restOperation(prefixes []string, routes []restRoute) func(awsCall) (string, bool) {
	return func(c awsCall) (string, bool) {
		path := c.URL.EscapedPath()
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(path, p) }) {
			return "", false
		}
		for _, r := range routes {
			if c.Method == r.method && r.path.MatchString(path) {
				return r.operation, true
			}
		}
		return "", true
	}
}

// params are the variable parts of the path.
func (c awsCall) params(routes []restRoute) []string {
	for _, r := range routes {
		if m := r.path.FindStringSubmatch(c.URL.EscapedPath()); m != nil && c.Method == r.method {
			for i := range m {
				m[i], _ = url.PathUnescape(m[i]) // the path was parsed before
			}
			return m[1:]
		}
	}
	return nil
}

var lambdaRoutes = []restRoute{
	route(http.MethodGet, "/2015-03-31/functions/{}", "GetFunction"),
	route(http.MethodGet, "/2015-03-31/functions/{}/configuration", "GetFunctionConfiguration"),
	route(http.MethodPut, "/2015-03-31/functions/{}/configuration", "UpdateFunctionConfiguration"),
	route(http.MethodPost, "/2015-03-31/functions/{}/versions", "PublishVersion"),
	route(http.MethodGet, "/2015-03-31/functions/{}/aliases/{}", "GetAlias"),
	route(http.MethodPut, "/2015-03-31/functions/{}/aliases/{}", "UpdateAlias"),
	route(http.MethodGet, "/2019-09-30/functions/{}/provisioned-concurrency", "GetProvisionedConcurrencyConfig"),
}

// functionCall checks the name in the path and reads the body.
func (e *endpoints) functionCall(c awsCall) (params []string, in document, err error) {
	params = c.params(lambdaRoutes)
	if name := params[0]; name != Function && name != functionARN && name != Account+":function:"+Function {
		return nil, nil, notThere("Function not found: arn:aws:lambda:%s:%s:function:%s", Region, Account, name)
	}
	if len(c.body) > 0 {
		err = c.readJSON(&in)
	}
	return params, in, err
}

func (e *endpoints) getFunctionConfiguration(c awsCall) error {
	if _, _, err := e.functionCall(c); err != nil {
		return err
	}
	qualifier := c.URL.Query().Get("Qualifier")
	found, ok := e.world.function.get(qualifier)
	if !ok {
		return notThere("Function not found: %s:%s", functionARN, qualifier)
	}
	return writeREST(c.rw, http.StatusOK, found)
}

func (e *endpoints) getFunction(c awsCall) error {
	if _, _, err := e.functionCall(c); err != nil {
		return err
	}
	qualifier := c.URL.Query().Get("Qualifier")
	found, ok := e.world.function.get(qualifier)
	if !ok {
		return notThere("Function not found: %s:%s", functionARN, qualifier)
	}
	return writeREST(c.rw, http.StatusOK, document{"Configuration": found, "Code": document{"RepositoryType": "S3"}})
}

func (e *endpoints) updateFunctionConfiguration(c awsCall) error {
	_, in, err := e.functionCall(c)
	if err != nil {
		return err
	}
	if text, _ := in["Description"].(string); len([]rune(text)) > 256 {
		return invalidValue("1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 256")
	}
	out, err := e.world.function.update(in)
	if err != nil {
		return err
	}
	return writeREST(c.rw, http.StatusOK, out)
}

func (e *endpoints) publishVersion(c awsCall) error {
	_, in, err := e.functionCall(c)
	if err != nil {
		return err
	}
	out, err := e.world.function.publish(in)
	if err != nil {
		return err
	}
	return writeREST(c.rw, http.StatusCreated, out)
}

// hasAlias refuses the name of an alias that does not exist.
func (e *endpoints) hasAlias(name string) error {
	if name != Alias || e.world.function.getAlias() == nil {
		return notThere("Cannot find alias arn: %s:%s", functionARN, name)
	}
	return nil
}

func (e *endpoints) getLambdaAlias(c awsCall) error {
	params, _, err := e.functionCall(c)
	if err == nil {
		err = e.hasAlias(params[1])
	}
	if err != nil {
		return err
	}
	return writeREST(c.rw, http.StatusOK, e.world.function.getAlias())
}

func (e *endpoints) updateLambdaAlias(c awsCall) error {
	params, in, err := e.functionCall(c)
	if err == nil {
		err = e.hasAlias(params[1])
	}
	if err != nil {
		return err
	}
	out, err := e.world.function.moveAlias(in)
	if err != nil {
		return err
	}
	return writeREST(c.rw, http.StatusOK, out)
}

func (e *endpoints) getProvisionedConcurrencyConfig(c awsCall) error {
	if _, _, err := e.functionCall(c); err != nil {
		return err
	}
	if c.URL.Query().Get("Qualifier") == Alias {
		if found := e.world.function.concurrency(); found != nil {
			return writeREST(c.rw, http.StatusOK, found)
		}
	}
	return apiError{http.StatusNotFound, "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function"}
}
