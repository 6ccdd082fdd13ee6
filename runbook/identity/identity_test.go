package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"jwksbot/runbook"
)

// fakeSTS checks signatures as AWS does (Signature Version 4, query form).
type fakeSTS struct {
	*httptest.Server
	asked int
}

var secrets = map[string]string{"AKIAROBIN": "secret of robin", "AKIALEE": "secret of lee"}

func startSTS(t *testing.T) *fakeSTS {
	s := &fakeSTS{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked++
		id, _, _ := strings.Cut(r.URL.Query().Get("X-Amz-Credential"), "/")
		if !signatureHolds(r, secrets[id]) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>`)
			return
		}
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/%s</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`, strings.ToLower(strings.TrimPrefix(id, "AKIA")))
	}))
	t.Cleanup(s.Close)
	return s
}

// signatureHolds computes the signature of a presigned request again.
func signatureHolds(r *http.Request, secret string) bool {
	q := r.URL.Query()
	signature := q.Get("X-Amz-Signature")
	q.Del("X-Amz-Signature")
	var headers strings.Builder
	names := strings.Split(q.Get("X-Amz-SignedHeaders"), ";")
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.TrimSpace(value))
	}
	empty := sha256.Sum256(nil)
	canonical := strings.Join([]string{r.Method, "/", strings.ReplaceAll(q.Encode(), "+", "%20"), headers.String(), strings.Join(names, ";"), hex.EncodeToString(empty[:])}, "\n")
	scope := strings.Split(q.Get("X-Amz-Credential"), "/")[1:]
	sum := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + secret)
	for _, part := range scope {
		key = mac(key, part)
	}
	want := mac(key, "AWS4-HMAC-SHA256\n"+q.Get("X-Amz-Date")+"\n"+strings.Join(scope, "/")+"\n"+hex.EncodeToString(sum[:]))
	return secret != "" && signature == hex.EncodeToString(want)
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func as(name, endpoint string) aws.Config {
	cfg := aws.Config{Region: "eu-west-2", Credentials: credentials.NewStaticCredentialsProvider("AKIA"+strings.ToUpper(name), "secret of "+name, "")}
	if endpoint != "" {
		cfg.BaseEndpoint = &endpoint
	}
	return cfg
}

func prove(t *testing.T, cfg aws.Config, purpose string) string {
	t.Helper()
	proof, err := Prove(context.Background(), cfg, []byte(purpose))
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func verifier(t *testing.T, endpoint string, clock runbook.Clock) *Verifier {
	t.Helper()
	v, err := NewVerifier(as("bot", endpoint), clock)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestProof(t *testing.T) {
	sts := startSTS(t)
	v := verifier(t, sts.URL, runbook.SystemClock{})
	for name, want := range map[string]string{"robin": "arn:aws:iam::123456789012:user/robin", "lee": "arn:aws:iam::123456789012:user/lee"} {
		got, err := v.Who(t.Context(), prove(t, as(name, sts.URL), "approve r1"), []byte("approve r1"))
		if err != nil || got != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
}

// later is a clock that is ahead.
type later struct {
	runbook.SystemClock
	by time.Duration
}

func (l later) Now() time.Time { return time.Now().Add(l.by) }

// TestProofRefused: a proof for something else, by nobody, too old, changed, or
// meant for another server proves nothing, and STS is asked only when there is
// something to ask.
func TestProofRefused(t *testing.T) {
	sts, elsewhere := startSTS(t), startSTS(t)
	good := prove(t, as("robin", sts.URL), "approve r1")
	edit := func(change func(url.Values)) string {
		u, err := url.Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		change(q)
		u.RawQuery = q.Encode()
		return u.String()
	}
	for _, c := range []struct {
		name, proof, purpose, want string
		ahead                      time.Duration
	}{
		{"another purpose", good, "approve r2", "SignatureDoesNotMatch", 0},
		{"stolen secret", prove(t, aws.Config{Region: "eu-west-2", BaseEndpoint: &sts.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIAROBIN", "a guess", "")}, "approve r1"), "approve r1", "SignatureDoesNotMatch", 0},
		{"old", good, "approve r1", "is valid for 5 min", 6 * time.Minute},
		{"of the future", good, "approve r1", "check the clocks", -2 * time.Minute},
		{"another server", prove(t, as("robin", elsewhere.URL), "approve r1"), "approve r1", "use the same AWS_ENDPOINT_URL_STS", 0},
		{"another action", edit(func(q url.Values) { q.Set("Action", "AssumeRole") }), "approve r1", "something else", 0},
		{"more parameters", edit(func(q url.Values) { q.Set("RoleArn", "x") }), "approve r1", `"RoleArn"`, 0},
		{"a parameter twice", edit(func(q url.Values) { q.Add("Action", "GetCallerIdentity") }), "approve r1", `"Action"`, 0},
		{"another person", edit(func(q url.Values) {
			q.Set("X-Amz-Credential", strings.Replace(q.Get("X-Amz-Credential"), "ROBIN", "LEE", 1))
		}), "approve r1", "SignatureDoesNotMatch", 0},
		{"not bound", edit(func(q url.Values) { q.Set("X-Amz-SignedHeaders", "host") }), "approve r1", "not bound", 0},
		{"no date", edit(func(q url.Values) { q.Set("X-Amz-Date", "noon") }), "approve r1", "not when", 0},
		{"nonsense", "::", "approve r1", "not a signed request", 0},
		{"nothing", "", "approve r1", "something else", 0},
	} {
		v := verifier(t, sts.URL, later{by: c.ahead})
		who, err := v.Who(t.Context(), c.proof, []byte(c.purpose))
		var refusal *runbook.Refusal
		if !errors.As(err, &refusal) || who != "" || !strings.Contains(refusal.Text, c.want) {
			t.Errorf("%s: %q, %v; want a refusal with %q", c.name, who, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "X-Amz-Signature") {
			t.Errorf("%s: the error holds the proof: %v", c.name, err)
		}
	}
	if elsewhere.asked > 0 {
		t.Error("the server that the proof named was asked")
	}
}

// TestHosts: without an endpoint of its own the verifier asks AWS and nobody
// else, whatever the proof says.
func TestHosts(t *testing.T) {
	v := verifier(t, "", runbook.SystemClock{})
	for _, region := range []string{"eu-west-2", "us-gov-west-1", "cn-north-1", ""} {
		cfg := as("robin", "")
		cfg.Region = region
		req, err := v.request(t.Context(), prove(t, cfg, "p"), []byte("p"))
		if err != nil || req.URL.Scheme != "https" || !strings.HasPrefix(req.URL.Host, "sts.") {
			t.Errorf("region %q: %v, %v", region, req, err)
		}
	}
	for _, host := range []string{"sts.amazonaws.com.evil.example", "sts.eu-west-2.amazonaws.com:8443", "evil.example", "ststs.amazonaws.com", "sts.evil.example/.amazonaws.com", "", "user@evil.example"} {
		proof := strings.Replace(prove(t, as("robin", ""), "p"), "sts.eu-west-2.amazonaws.com", host, 1)
		if req, err := v.request(t.Context(), proof, []byte("p")); err == nil {
			t.Errorf("%q: would ask %s", host, req.URL.Host)
		}
	}
}

// TestUnreachable: a server that does not answer is no refusal, and the error
// does not hold the proof.
func TestUnreachable(t *testing.T) {
	sts := startSTS(t)
	proof := prove(t, as("robin", sts.URL), "p")
	sts.Close()
	_, err := verifier(t, sts.URL, runbook.SystemClock{}).Who(t.Context(), proof, []byte("p"))
	if err == nil || errors.As(err, new(*runbook.Refusal)) || strings.Contains(err.Error(), "Signature") {
		t.Errorf("got %v", err)
	}
}

func TestParametersOfTheSDK(t *testing.T) {
	u, err := url.Parse(prove(t, as("robin", "https://sts.example.com"), "p"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for name := range u.Query() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !parameters[name] {
			t.Errorf("the SDK signs %q, which the verifier refuses: %v", name, names)
		}
	}
}
