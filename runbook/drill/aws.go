package drill

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// maxAWSBody bounds a request to an AWS endpoint.
const maxAWSBody = 1 << 20

// Faults are what the AWS endpoints do wrong on purpose. Operations are named
// as in IAM policies: "logs:FilterLogEvents", "cloudwatch:GetMetricData",
// "elasticache:DescribeReplicationGroups".
type Faults struct {
	Deny       []string       // answered as without permission
	Throttle   map[string]int // the next n calls are answered as too many
	EmptyPages bool           // the first page of FilterLogEvents is empty and has a token
}

// endpoints is all AWS services of the world behind one address, told apart as
// the real ones are: by path, target header and form.
type endpoints struct {
	world    *World
	requests atomic.Int64

	mu          sync.Mutex
	faults      Faults
	filterCalls []time.Time // of the last second
	policy      *policy     // of the caller; nil: everything is permitted
	notices     []Notice
}

func newEndpoints(w *World) *endpoints { return &endpoints{world: w} }

// awsCall is one request that has been understood and may be answered.
type awsCall struct {
	*http.Request
	body []byte
	rw   http.ResponseWriter
}

// apiError is an answer that is an AWS error.
type apiError struct {
	status  int
	code    string
	message string
}

func (e apiError) Error() string { return e.code + ": " + e.message }

// protocol is how a service writes errors and what it calls the ones that
// every service has.
type protocol struct {
	write           func(rw http.ResponseWriter, e apiError)
	unknown         apiError
	missingToken    apiError
	badSignature    apiError
	denied          apiError // message: the operation is added
	throttled       apiError
	malformedHeader apiError
}

// service is a row of the table of AWS services.
type service struct {
	name       string // as in IAM actions
	scope      string // as in SigV4 credential scopes
	protocol   *protocol
	operation  func(c awsCall) (name string, mine bool)
	operations map[string]func(e *endpoints, c awsCall) error
}

// services is every AWS service that the world has.
var services = []service{
	{
		name: "cloudwatch", scope: "monitoring", protocol: &cborProtocol, operation: pathOperation("GraniteServiceVersion20100801"),
		operations: map[string]func(*endpoints, awsCall) error{
			"GetMetricData": (*endpoints).getMetricData,
			"ListMetrics":   (*endpoints).listMetrics,
		},
	},
	{
		name: "logs", scope: "logs", protocol: &jsonProtocol, operation: targetOperation("Logs_20140328"),
		operations: map[string]func(*endpoints, awsCall) error{
			"FilterLogEvents":    (*endpoints).filterLogEvents,
			"DescribeLogStreams": (*endpoints).describeLogStreams,
			"DescribeLogGroups":  (*endpoints).describeLogGroups,
		},
	},
	{
		name: "elasticache", scope: "elasticache", protocol: &queryProtocol, operation: formOperation("2015-02-02"),
		operations: map[string]func(*endpoints, awsCall) error{
			"DescribeReplicationGroups": (*endpoints).describeReplicationGroups,
			"DescribeServerlessCaches":  (*endpoints).describeServerlessCaches,
		},
	},
	{
		name: "lambda", scope: "lambda", protocol: &restProtocol,
		operation: restOperation([]string{"/2015-03-31/functions/", "/2019-09-30/functions/"}, lambdaRoutes),
		operations: map[string]func(*endpoints, awsCall) error{
			"GetFunction":                     (*endpoints).getFunction,
			"GetFunctionConfiguration":        (*endpoints).getFunctionConfiguration,
			"UpdateFunctionConfiguration":     (*endpoints).updateFunctionConfiguration,
			"PublishVersion":                  (*endpoints).publishVersion,
			"GetAlias":                        (*endpoints).getLambdaAlias,
			"UpdateAlias":                     (*endpoints).updateLambdaAlias,
			"GetProvisionedConcurrencyConfig": (*endpoints).getProvisionedConcurrencyConfig,
		},
	},
	{
		name: "apigateway", scope: "apigateway", protocol: &restProtocol, operation: restOperation([]string{"/restapis/"}, restRoutes),
		operations: map[string]func(*endpoints, awsCall) error{
			"GetRestApi":                 (*endpoints).getRestAPI,
			"GetStage":                   (*endpoints).getRestStage,
			"GetAuthorizers":             (*endpoints).getRestAuthorizers,
			"FlushStageAuthorizersCache": (*endpoints).flushStageAuthorizersCache,
		},
	},
	{
		name: "apigatewayv2", scope: "apigateway", protocol: &restProtocol, operation: restOperation([]string{"/v2/apis/"}, httpRoutes),
		operations: map[string]func(*endpoints, awsCall) error{
			"GetApi":                (*endpoints).getHTTPAPI,
			"GetStage":              (*endpoints).getHTTPStage,
			"GetAuthorizers":        (*endpoints).getHTTPAuthorizers,
			"ResetAuthorizersCache": (*endpoints).resetAuthorizersCache,
		},
	},
	{
		name: "sns", scope: "sns", protocol: &queryProtocol, operation: formOperation("2010-03-31"),
		operations: map[string]func(*endpoints, awsCall) error{
			"Publish": (*endpoints).publish,
		},
	},
	{
		name: "sts", scope: "sts", protocol: &queryProtocol, operation: formOperation("2011-06-15"),
		operations: map[string]func(*endpoints, awsCall) error{
			"GetCallerIdentity": (*endpoints).getCallerIdentity,
		},
	},
}

// ServeHTTP finds the service and operation, holds the caller to what AWS
// demands of every request, and answers.
func (e *endpoints) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("X-Amzn-Requestid", requestID(e.requests.Add(1)))
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxAWSBody))
	if err != nil {
		http.Error(rw, "request body too large or cut off", http.StatusRequestEntityTooLarge)
		return
	}
	c := awsCall{Request: r, body: body, rw: rw}
	for _, s := range services {
		name, mine := s.operation(c)
		if !mine {
			continue
		}
		if err := e.answer(s, name, c); err != nil {
			s.protocol.write(rw, asAPIError(err))
		}
		return
	}
	rw.Header().Set("Content-Type", "application/xml")
	rw.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(rw, "<UnknownOperationException/>\n")
}

func (e *endpoints) answer(s service, name string, c awsCall) error {
	if err := checkSignature(s, c.Request); err != nil {
		return err
	}
	do, ok := s.operations[name]
	if !ok {
		return s.protocol.unknown
	}
	if err := e.fault(s, name, c); err != nil {
		return err
	}
	e.world.gateway.traffic.await(c.Context(), e.world.clock.Now().Add(-behind))
	return do(e, c)
}

// fault returns the error that this call is to be answered with.
func (e *endpoints) fault(s service, name string, c awsCall) error {
	action := s.name + ":" + name
	e.mu.Lock()
	defer e.mu.Unlock()
	if slices.Contains(e.faults.Deny, action) {
		return s.protocol.deny(action, "*")
	}
	if action, resource := e.policy.permitted(s.name, name, c); action != "" {
		return s.protocol.deny(action, resource)
	}
	if e.faults.Throttle[action] > 0 {
		e.faults.Throttle[action]--
		return s.protocol.throttled
	}
	return nil
}

// deny is the answer to a call without permission.
func (p *protocol) deny(action, resource string) apiError {
	e := p.denied
	e.message = fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action", callerARN, action, resource, action)
	return e
}

func (e *endpoints) setFaults(f Faults) {
	throttle := map[string]int{} // counted down, so not the caller's
	for action, n := range f.Throttle {
		throttle[action] = n
	}
	f.Throttle = throttle
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = f
}

func (e *endpoints) emptyPages() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.faults.EmptyPages
}

func asAPIError(err error) apiError {
	if e, ok := errors.AsType[apiError](err); ok {
		return e
	}
	return apiError{http.StatusInternalServerError, "InternalFailure", err.Error()}
}

func requestID(n int64) string {
	return fmt.Sprintf("d0000000-0000-4000-8000-%012s", strconv.FormatInt(n, 16))
}
