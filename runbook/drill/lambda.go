package drill

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"jwksbot/runbook"
)

const (
	// Alias is what the gateway invokes in the worlds that have one.
	Alias = "live"
	// updateTakes is how long an update of the configuration is in progress.
	updateTakes = 4 * time.Second
	// readyTakes is how long it takes to make provisioned concurrency ready.
	readyTakes = 20 * time.Second
	latest     = "$LATEST"
	lambdaTime = "2006-01-02T15:04:05.000-0700"
)

// functionARN is the function without a qualifier.
const functionARN = "arn:aws:lambda:" + Region + ":" + Account + ":function:" + Function

// document is a JSON object as an endpoint takes and gives it.
type document = map[string]any

// function is the authoriser's Lambda function as Lambda keeps it: $LATEST,
// published versions, which never change, and an alias. What the gateway invokes
// has execution environments, and gets new ones when it changes.
type function struct {
	clock       runbook.Clock
	hidden      bool // the variables cannot be decrypted for the caller
	mu          sync.Mutex
	versions    map[string]document // by number, and $LATEST
	alias       document            // nil: the gateway invokes $LATEST
	provisioned int                 // of the alias
	updated     time.Time           // when the update in progress will be finished
	ready       time.Time           // when provisioned concurrency will be ready
	deployed    []deployment        // what was invoked when, earliest first
	revisions   int
}

// deployment is what the gateway's requests meet from a moment on: a version, in
// execution environments of its own. Traffic may lag behind the clock, and a
// request belongs to the moment that it is dated with.
type deployment struct {
	since   time.Time
	version string
	number  int
}

func newFunction(w *World) *function {
	f := &function{clock: w.clock, hidden: w.settings.hiddenVariables, provisioned: w.settings.provisioned}
	now := w.clock.Now().UTC()
	first := document{
		"FunctionName": Function, "FunctionArn": functionARN, "Version": latest, "Description": "Validates access tokens",
		"Runtime": "nodejs24.x", "Handler": "index.handler", "Role": "arn:aws:iam::" + Account + ":role/drill-authoriser",
		"CodeSha256": "8Q3vR0tM1c1b2dK5mQ1m0mE2yq1Yk2m3b4n5o6p7q8s=", "CodeSize": 48_213, "MemorySize": 256, "Timeout": 5,
		"PackageType": "Zip", "Architectures": []any{"arm64"}, "EphemeralStorage": document{"Size": 512},
		"Environment":   document{"Variables": document{"JWKS_URL": w.idp.jwksURL(), "REDIS_URL": "redis://" + w.store.addr, "LOG_LEVEL": "info"}},
		"TracingConfig": document{"Mode": "PassThrough"}, "SnapStart": document{"ApplyOn": "None", "OptimizationStatus": "Off"},
		"LoggingConfig": document{"LogFormat": "Text", "LogGroup": LogGroup},
		"State":         "Active", "LastUpdateStatus": "Successful", "LastModified": now.Add(-9 * 24 * time.Hour).Format(lambdaTime),
	}
	first["RevisionId"] = f.revision()
	f.versions = map[string]document{latest: first}
	if w.settings.alias {
		f.add("1", first)
		f.alias = document{"AliasArn": functionARN + ":" + Alias, "Name": Alias, "FunctionVersion": "1", "Description": "what the gateway invokes", "RevisionId": f.revision()}
	}
	f.deploy(time.Time{})
	if w.settings.unreleased {
		first["CodeSha256"], first["RevisionId"] = "uNre1eAsEdc0de0000000000000000000000000000s=", f.revision()
		first["LastModified"] = now.Add(-30 * time.Minute).Format(lambdaTime)
	}
	return f
}

// revision returns a new RevisionId.
func (f *function) revision() string {
	f.revisions++
	return fmt.Sprintf("5e7151ca-0000-4000-8000-%012d", f.revisions)
}

// add keeps a copy of c as a version.
func (f *function) add(number string, c document) document {
	v := clone(c)
	v["Version"], v["FunctionArn"], v["RevisionId"] = number, functionARN+":"+number, f.revision()
	f.versions[number] = v
	return v
}

func clone(c document) document {
	b, _ := json.Marshal(c) // strings, numbers and maps of them: cannot fail
	var out document
	_ = json.Unmarshal(b, &out) // it was written a line before
	return out
}

// settle ends the update whose time has come. Called with the lock held.
func (f *function) settle() {
	c := f.versions[latest]
	if c["LastUpdateStatus"] == "InProgress" && !f.clock.Now().Before(f.updated) {
		c["LastUpdateStatus"], c["RevisionId"] = "Successful", f.revision()
		if f.current() == latest {
			f.deploy(f.updated)
		}
	}
}

// current is the version that the gateway invokes. Called with the lock held.
func (f *function) current() string {
	if f.alias == nil {
		return latest
	}
	return f.alias["FunctionVersion"].(string)
}

// deploy gives what is invoked new environments. Called with the lock held.
func (f *function) deploy(since time.Time) {
	f.deployed = append(f.deployed, deployment{since, f.current(), len(f.deployed)})
}

// invoked tells what requests of that moment meet.
func (f *function) invoked(at time.Time) deployment {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	for _, d := range slices.Backward(f.deployed) {
		if !d.since.After(at) {
			return d
		}
	}
	return f.deployed[0]
}

// get returns a copy of a version, as the caller may see it.
func (f *function) get(qualifier string) (document, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	switch {
	case qualifier == "":
		qualifier = latest
	case f.alias != nil && qualifier == Alias:
		qualifier = f.current()
	}
	c, ok := f.versions[qualifier]
	if !ok {
		return nil, false
	}
	return f.seen(c), true
}

// seen is what a caller is shown: without the variables where they cannot be
// decrypted.
func (f *function) seen(c document) document {
	c = clone(c)
	if f.hidden {
		c["Environment"] = document{"Error": document{"ErrorCode": "AccessDeniedException",
			"Message": "Lambda was unable to decrypt your environment variables because the KMS access was denied. Please check your KMS permissions."}}
	}
	return c
}

// update changes $LATEST: a member that is given replaces the whole of what was
// there, one that is not stays.
func (f *function) update(in document) (document, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	c := f.versions[latest]
	if c["LastUpdateStatus"] == "InProgress" {
		return nil, updateInProgress
	}
	if err := precondition(in, c); err != nil {
		return nil, err
	}
	for _, member := range []string{"RevisionId", "FunctionName"} {
		delete(in, member)
	}
	maps.Copy(c, in)
	now := f.clock.Now().UTC()
	c["LastUpdateStatus"], c["LastModified"], c["RevisionId"] = "InProgress", now.Format(lambdaTime), f.revision()
	f.updated = now.Add(updateTakes)
	return f.seen(c), nil
}

// publish keeps $LATEST as a new version. When nothing changed since the last
// one, that is the answer.
func (f *function) publish(in document) (document, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	c := f.versions[latest]
	if c["LastUpdateStatus"] == "InProgress" {
		return nil, updateInProgress
	}
	if err := precondition(in, c); err != nil {
		return nil, err
	}
	if sha, ok := in["CodeSha256"]; ok && sha != c["CodeSha256"] {
		return nil, invalidValue("CodeSha256 (%v) is different from current CodeSHA256 in $LATEST (%v). Please try again with the CodeSHA256 in $LATEST.", sha, c["CodeSha256"])
	}
	last := f.versions[strconv.Itoa(len(f.versions)-1)]
	if last != nil && reflect.DeepEqual(released(last), released(c)) {
		return f.seen(last), nil
	}
	v := f.add(strconv.Itoa(len(f.versions)), c)
	c["RevisionId"] = f.revision()
	return f.seen(v), nil
}

// released is what makes a version another one.
func released(c document) document {
	c = clone(c)
	for _, member := range []string{"Version", "FunctionArn", "RevisionId", "LastModified"} {
		delete(c, member)
	}
	return c
}

func (f *function) getAlias() document {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.alias == nil {
		return nil
	}
	return clone(f.alias)
}

// moveAlias changes the alias; its provisioned concurrency is allocated anew.
func (f *function) moveAlias(in document) (document, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := precondition(in, f.alias); err != nil {
		return nil, err
	}
	if number, ok := in["FunctionVersion"].(string); ok {
		if f.versions[number] == nil {
			return nil, notThere("Function not found: %s:%s", functionARN, number)
		}
		now := f.clock.Now()
		f.alias["FunctionVersion"] = number
		f.ready = now.Add(readyTakes)
		f.deploy(now)
	}
	if text, ok := in["Description"].(string); ok {
		f.alias["Description"] = text
	}
	f.alias["RevisionId"] = f.revision()
	return clone(f.alias), nil
}

// concurrency tells of the alias's provisioned concurrency; nil: there is none.
func (f *function) concurrency() document {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.alias == nil || f.provisioned == 0 {
		return nil
	}
	d := document{"RequestedProvisionedConcurrentExecutions": f.provisioned, "AllocatedProvisionedConcurrentExecutions": f.provisioned,
		"AvailableProvisionedConcurrentExecutions": f.provisioned, "Status": "READY", "LastModified": f.clock.Now().UTC().Format(lambdaTime)}
	if f.clock.Now().Before(f.ready) {
		d["Status"], d["AvailableProvisionedConcurrentExecutions"], d["AllocatedProvisionedConcurrentExecutions"] = "IN_PROGRESS", 0, 0
	}
	return d
}

// Variables are the function's environment variables, as they really are: what
// a restart must leave alone.
func (w *World) Variables() map[string]string {
	f := w.function
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]string{}
	environment, _ := f.versions[latest]["Environment"].(document)
	vars, _ := environment["Variables"].(document)
	for name, value := range vars {
		out[name] = fmt.Sprint(value)
	}
	return out
}

// Invoked is the version that the gateway's requests meet: $LATEST or a number.
func (w *World) Invoked() string {
	return w.function.invoked(w.clock.Now()).version
}
