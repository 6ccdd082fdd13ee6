package authoriser

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"jwksbot/runbook"
)

const (
	region  = "eu-west-2"
	account = "123456789012"
	name    = "oidc-authoriser"
)

// virtual is a clock whose waits are over at once.
type virtual struct {
	mu  sync.Mutex
	now time.Time
}

func newVirtual() *virtual {
	return &virtual{now: time.Date(2026, time.February, 14, 3, 0, 0, 0, time.UTC)}
}

func (c *virtual) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *virtual) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

type config = map[string]any

// lambdaService is one function as Lambda keeps it, over the wire: it enforces
// RevisionId, refuses to update while an update is in progress, keeps what a
// request leaves out, and publishes only what changed.
type lambdaService struct {
	clock *virtual

	mu         sync.Mutex
	versions   map[string]config // by number, and $LATEST
	alias      config            // nil: there is none
	ready      map[string]config // provisioned concurrency by qualifier
	finishesAt time.Time         // of the update in progress
	readyAt    time.Time         // of the provisioned concurrency that is being moved
	takes      time.Duration     // how long an update takes
	revisions  int
	failUpdate string // the reason with which the next update fails

	fail   map[string][]fault // by operation, first first
	before func(op string)    // called before an operation, without the lock
	writes []string           // operations that were accepted
}

// fault is an answer instead of the real one; lost is an answer that does not
// arrive although the call was carried out.
type fault struct {
	status int
	code   string
	lost   bool
}

func newLambdaService(clock *virtual) *lambdaService {
	s := &lambdaService{clock: clock, takes: 4 * time.Second, versions: map[string]config{}, ready: map[string]config{}, fail: map[string][]fault{}}
	s.versions[latest] = config{
		"FunctionName": name, "Version": latest, "Description": "Validates tokens", "CodeSha256": "c0de", "CodeSize": 100,
		"FunctionArn": "arn:aws:lambda:" + region + ":" + account + ":function:" + name,
		"Environment": config{"Variables": config{"REDIS": "rediss://cache:6379", "CLIENT_SECRET": "hunter2", "EMPTY": ""}},
		"Role":        "arn:aws:iam::123456789012:role/authoriser", "Handler": "index.handler", "Runtime": "nodejs24.x", "MemorySize": 256, "Timeout": 5,
		"Layers":        []any{config{"Arn": "arn:aws:lambda:eu-west-2:1:layer:otel:7", "CodeSize": 9}},
		"VpcConfig":     config{"SubnetIds": []any{"subnet-a", "subnet-b"}, "SecurityGroupIds": []any{"sg-1"}, "VpcId": "vpc-1"},
		"TracingConfig": config{"Mode": "PassThrough"}, "SnapStart": config{"ApplyOn": "None", "OptimizationStatus": "Off"},
		"State": "Active", "LastUpdateStatus": "Successful", "LastModified": "2026-02-13T09:00:00.000+0000", "RevisionId": "rev-0",
	}
	return s
}

// withAlias publishes version 7 and points alias live to it.
func (s *lambdaService) withAlias(provisioned int) {
	old := maps.Clone(s.versions[latest])
	old["Version"], old["RevisionId"] = "7", "rev-7"
	old["VpcConfig"] = config{"SubnetIds": []any{"subnet-b", "subnet-a"}, "SecurityGroupIds": []any{"sg-1"}, "VpcId": "vpc-1"} // a set
	old["SnapStart"] = config{"ApplyOn": "None", "OptimizationStatus": "On"}
	s.versions["7"] = old
	s.alias = config{"Name": "live", "FunctionVersion": "7", "RevisionId": "alias-0", "AliasArn": "arn:live"}
	if provisioned > 0 {
		s.ready["live"] = config{"RequestedProvisionedConcurrentExecutions": provisioned, "AvailableProvisionedConcurrentExecutions": provisioned, "Status": "READY"}
	}
}

// hook calls before ahead of every operation, without the lock.
func (s *lambdaService) hook(before func(op string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *lambdaService) revision() string {
	s.revisions++
	return "rev-" + strconv.Itoa(s.revisions)
}

var routes = []struct {
	method string
	path   *regexp.Regexp
	op     string
	do     func(s *lambdaService, q string, in config) (config, *fault)
}{
	{"GET", regexp.MustCompile(`^/2015-03-31/functions/([^/]+)/configuration$`), "GetFunctionConfiguration", (*lambdaService).get},
	{"PUT", regexp.MustCompile(`^/2015-03-31/functions/([^/]+)/configuration$`), "UpdateFunctionConfiguration", (*lambdaService).update},
	{"POST", regexp.MustCompile(`^/2015-03-31/functions/([^/]+)/versions$`), "PublishVersion", (*lambdaService).publish},
	{"GET", regexp.MustCompile(`^/2015-03-31/functions/([^/]+)/aliases/([^/]+)$`), "GetAlias", (*lambdaService).getAlias},
	{"PUT", regexp.MustCompile(`^/2015-03-31/functions/([^/]+)/aliases/([^/]+)$`), "UpdateAlias", (*lambdaService).moveAlias},
	{"GET", regexp.MustCompile(`^/2019-09-30/functions/([^/]+)/provisioned-concurrency$`), "GetProvisionedConcurrencyConfig", (*lambdaService).getReady},
}

func (s *lambdaService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, route := range routes {
		m := route.path.FindStringSubmatch(r.URL.Path)
		if r.Method != route.method || m == nil {
			continue
		}
		s.mu.Lock()
		before := s.before
		s.mu.Unlock()
		if before != nil {
			before(route.op)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if m[1] != name {
			refuseCall(w, fault{status: 404, code: "ResourceNotFoundException"})
			return
		}
		q := r.URL.Query().Get("Qualifier")
		if len(m) > 2 {
			q = m[2]
		}
		s.serve(w, r, route.op, q, route.do)
		return
	}
	http.Error(w, r.Method+" "+r.URL.Path, http.StatusTeapot)
}

func (s *lambdaService) serve(w http.ResponseWriter, r *http.Request, op, q string, do func(*lambdaService, string, config) (config, *fault)) {
	var planned fault
	if list := s.fail[op]; len(list) > 0 {
		planned, s.fail[op] = list[0], list[1:]
	}
	if planned.code != "" {
		refuseCall(w, planned)
		return
	}
	s.settle()
	var in config
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off: not carried out
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &in); err != nil {
			refuseCall(w, fault{status: 400, code: "InvalidRequestContentException"})
			return
		}
	}
	out, bad := do(s, q, in)
	switch {
	case bad != nil:
		refuseCall(w, *bad)
		return
	case r.Method != http.MethodGet:
		s.writes = append(s.writes, op)
	}
	if planned.lost {
		panic(http.ErrAbortHandler) // the connection breaks
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func refuseCall(w http.ResponseWriter, f fault) {
	w.Header().Set("X-Amzn-Errortype", f.code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	fmt.Fprintf(w, `{"Type":"User","Message":"said by AWS"}`)
}

// settle ends what is over by now.
func (s *lambdaService) settle() {
	c, now := s.versions[latest], s.clock.Now()
	if c["LastUpdateStatus"] == "InProgress" && !now.Before(s.finishesAt) {
		c["LastUpdateStatus"], c["RevisionId"] = "Successful", s.revision()
		if s.failUpdate != "" {
			c["LastUpdateStatus"], c["LastUpdateStatusReason"] = "Failed", s.failUpdate
		}
	}
	if p := s.ready["live"]; p != nil && p["Status"] == "IN_PROGRESS" && !now.Before(s.readyAt) {
		p["Status"], p["AvailableProvisionedConcurrentExecutions"] = "READY", p["RequestedProvisionedConcurrentExecutions"]
	}
}

func (s *lambdaService) get(q string, _ config) (config, *fault) {
	if q == "" {
		q = latest
	}
	if c := s.versions[q]; c != nil {
		return c, nil
	}
	return nil, &fault{status: 404, code: "ResourceNotFoundException"}
}

func (s *lambdaService) update(_ string, in config) (config, *fault) {
	c := s.versions[latest]
	if c["LastUpdateStatus"] == "InProgress" {
		return nil, &fault{status: 409, code: "ResourceConflictException"}
	}
	if rev := in["RevisionId"]; rev != nil && rev != c["RevisionId"] {
		return nil, &fault{status: 412, code: "PreconditionFailedException"}
	}
	delete(in, "RevisionId")
	maps.Copy(c, in) // what is given replaces the whole of what was there
	c["LastUpdateStatus"], c["RevisionId"] = "InProgress", s.revision()
	c["LastModified"] = s.clock.Now().Format("2006-01-02T15:04:05.000-0700")
	s.finishesAt = s.clock.Now().Add(s.takes)
	return c, nil
}

func (s *lambdaService) publish(_ string, in config) (config, *fault) {
	c := s.versions[latest]
	switch {
	case c["LastUpdateStatus"] == "InProgress":
		return nil, &fault{status: 409, code: "ResourceConflictException"}
	case in["RevisionId"] != nil && in["RevisionId"] != c["RevisionId"]:
		return nil, &fault{status: 412, code: "PreconditionFailedException"}
	case in["CodeSha256"] != nil && in["CodeSha256"] != c["CodeSha256"]:
		return nil, &fault{status: 400, code: "InvalidParameterValueException"}
	}
	last := strconv.Itoa(len(s.versions) + 5)
	if old := s.versions[last]; old != nil && old["Description"] == c["Description"] {
		return old, nil // nothing changed since the last version
	}
	next := maps.Clone(c)
	number := strconv.Itoa(len(s.versions) + 6)
	next["Version"], next["RevisionId"] = number, s.revision()
	s.versions[number] = next
	c["RevisionId"] = s.revision()
	return next, nil
}

func (s *lambdaService) getAlias(q string, _ config) (config, *fault) {
	if s.alias == nil || s.alias["Name"] != q {
		return nil, &fault{status: 404, code: "ResourceNotFoundException"}
	}
	return s.alias, nil
}

func (s *lambdaService) moveAlias(q string, in config) (config, *fault) {
	switch {
	case s.alias == nil || s.alias["Name"] != q, s.versions[in["FunctionVersion"].(string)] == nil:
		return nil, &fault{status: 404, code: "ResourceNotFoundException"}
	case in["RevisionId"] != nil && in["RevisionId"] != s.alias["RevisionId"]:
		return nil, &fault{status: 412, code: "PreconditionFailedException"}
	}
	s.alias["FunctionVersion"], s.alias["RevisionId"] = in["FunctionVersion"], "alias-"+s.revision()
	if p := s.ready[q]; p != nil {
		p["Status"], p["AvailableProvisionedConcurrentExecutions"] = "IN_PROGRESS", 0
		s.readyAt = s.clock.Now().Add(40 * time.Second)
	}
	return s.alias, nil
}

func (s *lambdaService) getReady(q string, _ config) (config, *fault) {
	if p := s.ready[q]; p != nil {
		return p, nil
	}
	return nil, &fault{status: 404, code: "ProvisionedConcurrencyConfigNotFoundException"}
}

// sdk points the real clients at a stand-in.
func sdk(t *testing.T, h http.Handler) aws.Config {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
		},
	}
}

// stage is a function in front of its stand-in.
func stage(t *testing.T) (*lambdaService, *Function) {
	t.Helper()
	clock := newVirtual()
	service := newLambdaService(clock)
	f, err := NewFunction(Settings{AWS: sdk(t, service), Name: name, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return service, f
}

// planOf inspects and plans, as the runbook does.
func planOf(t *testing.T, f *Function, qualifier string) runbook.RestartPlan {
	t.Helper()
	e, err := f.Inspect(t.Context(), qualifier)
	if err != nil || e.Refusal != "" {
		t.Fatalf("inspect: %v, refusal %q", err, e.Refusal)
	}
	return runbook.RestartPlan{Function: e.Function, Qualifier: e.Qualifier, Version: e.Version, Mode: e.Mode,
		Revision: e.Revision, AliasRevision: e.AliasRevision, CodeSHA: e.CodeSHA, Provisioned: e.Provisioned}
}
