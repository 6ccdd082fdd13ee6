package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
)

// The commonest fault at a terminal: nobody has logged in. Each step says so in
// one sentence, without the way that the SDK searched.
func TestWithoutCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, "/dev/null")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	w, out, errs := worldIn(t, `
journal: DIR/jwksbot.db
targets:
  - name: production
    region: eu-west-2
    jwks_url: "http://127.0.0.1:1/jwks"
    cache: {replication_group: cache}
    authoriser: {function: authoriser, log_group: /aws/lambda/authoriser}
    gateway: {rest_api: abc123, stage: live}
`, nil)
	if code := run(t.Context(), []string{"check", "--json"}, w); code != exitFailed {
		t.Fatalf("exit %d: %s", code, errs)
	}
	var got checkJSON
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, step := range []string{"cached-keys", "logged-keys", "cache-traffic", "gateway-errors", "authoriser"} {
		said := got.step(step)
		if !strings.Contains(said, "no AWS credentials that work: log in (aws sso login)") || strings.Contains(said, "operation error") || strings.Contains(said, "IMDS") {
			t.Errorf("%s: %s", step, said)
		}
	}
	if n := strings.Count(got.step("gateway-errors"), "no AWS credentials"); n != 1 {
		t.Errorf("the gateway says it %d times: %s", n, got.step("gateway-errors"))
	}
	out.Reset()
	if code := run(t.Context(), []string{"doctor"}, w); code != exitFinding {
		t.Fatalf("exit %d: %s", code, errs)
	}
	contains(t, out.String(), "AWS does not know this program", "fix: log in (aws sso login)", "fix: see the line on AWS credentials")
	if strings.Contains(out.String(), "redacted") {
		t.Errorf("a sentence was taken for a secret:\n%s", out)
	}
}

func TestWhyThereAreNoCredentials(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("no EC2 IMDS role found"), "no AWS credentials that work"},
		{&ssocreds.InvalidTokenError{Err: errors.New("expired")}, "the AWS SSO session has ended: log in again with aws sso login"},
		{&smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "robin may not assume it"}},
			"AWS gives this program no credentials: AccessDenied: robin may not assume it"},
	} {
		if got := noCredentials(c.err); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}
