// Package identity proves to one process who the AWS caller of another one is.
//
// Whoever asks for something at a terminal could run the program with an
// environment in which any server plays STS, so what that process says of
// itself is worth nothing. It therefore signs, but does not send, a request
// GetCallerIdentity, and hands it over: a proof. The process that acts on it
// sends the request to STS, by its own settings, and STS says who signed.
//
// A proof is bound to what it is for: the header x-jwksbot-for carries a digest
// of the request and is signed, and the verifier computes that header itself.
// A proof that somebody else gets hold of cannot be used for anything else, and
// after a few minutes for nothing at all.
//
// This package is the only user of STS.
package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// boundHeader carries what a proof is for.
const boundHeader = "X-Jwksbot-For"

// maxAge is how old a proof may be, and how far the clocks of both processes
// may be apart. STS itself accepts a signature for 15 minutes.
const (
	maxAge  = 5 * time.Minute
	maxSkew = time.Minute
)

// defaultRegion is where STS is asked when no region is configured: it answers
// for every account everywhere.
const defaultRegion = "us-east-1"

// Prove signs a request that tells STS who the caller of cfg is, for the bytes
// of purpose only. Nothing is sent.
func Prove(ctx context.Context, cfg aws.Config, purpose []byte) (string, error) {
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	client := sts.NewPresignClient(sts.NewFromConfig(cfg))
	signed, err := client.PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, func(o *sts.Options) {
			o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue(boundHeader, digest(purpose)))
		})
	})
	if err != nil {
		return "", fmt.Errorf("sign a proof of who is calling: %w; log in to AWS first (aws sts get-caller-identity has to work)", err)
	}
	return signed.URL, nil
}

func digest(purpose []byte) string {
	sum := sha256.Sum256(purpose)
	return hex.EncodeToString(sum[:])
}

// Verifier asks STS who made a proof.
type Verifier struct {
	endpoint *url.URL // nil: AWS's own
	client   *http.Client
	clock    runbook.Clock
}

// NewVerifier returns a verifier that uses the STS of cfg: a configured
// endpoint, and only that, or else those of AWS.
func NewVerifier(cfg aws.Config, clock runbook.Clock) (*Verifier, error) {
	v := &Verifier{clock: clock, client: &http.Client{Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("STS does not redirect") }}}
	if t, ok := cfg.HTTPClient.(interface{ GetTransport() *http.Transport }); ok {
		v.client.Transport = t.GetTransport() // with the CA bundle and the proxy of the SDK
	}
	raw := endpoint(cfg)
	if raw == "" {
		return v, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the endpoint of STS is not a URL: %q", raw)
	}
	v.endpoint = u
	return v, nil
}

// endpoint is the configured endpoint of STS, "" if there is none.
func endpoint(cfg aws.Config) string {
	client := sts.NewFromConfig(cfg)
	return aws.ToString(client.Options().BaseEndpoint)
}

// stsHost are the public names of STS.
var stsHost = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^sts(-fips)?(\.[a-z]{2}(-[a-z]+)+-[0-9]+)?\.amazonaws\.com(\.cn)?$`)
})

// Who returns the ARN of whoever made the proof for purpose.
func (v *Verifier) Who(ctx context.Context, proof string, purpose []byte) (string, error) {
	req, err := v.request(ctx, proof, purpose)
	if err != nil {
		return "", refuse("%v", err)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		var u *url.Error // its text has the whole URL, which is the proof
		if errors.As(err, &u) {
			err = u.Err
		}
		return "", fmt.Errorf("ask STS at %s who is calling: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", fmt.Errorf("ask STS at %s who is calling: %w", req.URL.Host, err)
	}
	return read(resp.StatusCode, body)
}

// request rebuilds the request: of the proof only the signature and what is
// signed is taken, never where it should be sent.
func (v *Verifier) request(ctx context.Context, proof string, purpose []byte) (*http.Request, error) {
	given, err := url.Parse(proof)
	if err != nil {
		return nil, errors.New("it is not a signed request")
	}
	query, err := v.signedQuery(given)
	if err != nil {
		return nil, err
	}
	to, err := v.to(given)
	if err != nil {
		return nil, err
	}
	to.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, errors.New("it is not a signed request")
	}
	req.Header.Set(boundHeader, digest(purpose))
	return req, nil
}

// to is where STS is, as far as this process is concerned.
func (v *Verifier) to(given *url.URL) (*url.URL, error) {
	if v.endpoint != nil {
		if given.Host != v.endpoint.Host {
			return nil, fmt.Errorf("it is meant for %q, and STS is %q here: use the same AWS_ENDPOINT_URL_STS on both sides", given.Host, v.endpoint.Host)
		}
		return &url.URL{Scheme: v.endpoint.Scheme, Host: v.endpoint.Host, Path: "/"}, nil
	}
	if !stsHost().MatchString(given.Host) {
		return nil, fmt.Errorf("it is meant for %q, which is not an address of STS", given.Host)
	}
	return &url.URL{Scheme: "https", Host: given.Host, Path: "/"}, nil
}

// signedQuery takes the parameters that a proof consists of, and refuses any
// other: no other action of STS is ever carried out for a caller.
func (v *Verifier) signedQuery(given *url.URL) (url.Values, error) {
	q := given.Query()
	for name, values := range q {
		if !parameters[name] || len(values) != 1 {
			return nil, fmt.Errorf("it has the unexpected parameter %q", name)
		}
	}
	if q.Get("Action") != "GetCallerIdentity" {
		return nil, errors.New("it asks for something else than GetCallerIdentity")
	}
	if !signs(q.Get("X-Amz-SignedHeaders"), strings.ToLower(boundHeader)) {
		return nil, errors.New("it is not bound to what is asked for")
	}
	at, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
	if err != nil {
		return nil, errors.New("it says not when it was made")
	}
	if age := v.clock.Now().Sub(at); age > maxAge || age < -maxSkew {
		return nil, fmt.Errorf("it was made at %s and is valid for %s; ask again, and check the clocks of both machines", at.Format(time.RFC3339), runbook.Duration(maxAge))
	}
	return q, nil
}

var parameters = map[string]bool{
	"Action": true, "Version": true, "X-Amz-Algorithm": true, "X-Amz-Credential": true, "X-Amz-Date": true, "X-Amz-Expires": true,
	"X-Amz-Security-Token": true, "X-Amz-SignedHeaders": true, "X-Amz-Signature": true,
}

func signs(headers, name string) bool {
	for h := range strings.SplitSeq(headers, ";") {
		if h == name {
			return true
		}
	}
	return false
}

// read takes the ARN out of the answer.
func read(status int, body []byte) (string, error) {
	var answer struct {
		Arn  string `xml:"GetCallerIdentityResult>Arn"`
		Code string `xml:"Error>Code"`
	}
	err := xml.Unmarshal(body, &answer)
	switch {
	case status == http.StatusOK && err == nil && strings.HasPrefix(answer.Arn, "arn:"):
		return answer.Arn, nil
	case status == http.StatusForbidden || status == http.StatusBadRequest:
		return "", refuse("STS does not accept it (%s)", redact.Text(answer.Code))
	}
	return "", fmt.Errorf("ask STS who is calling: it answered %d", status)
}

func refuse(format string, args ...any) *runbook.Refusal {
	return &runbook.Refusal{Code: runbook.RefusedKind, Text: "Your AWS identity could not be proven: the proof does not hold, " + fmt.Sprintf(format, args...) + "."}
}
