package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"

	"jwksbot/runbook"
)

func isARN(s string) bool { return strings.HasPrefix(s, "arn:") }

// codeOf returns the error code that AWS answered, "" when it did not answer.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// explain says what went wrong with the log group and what to do, for the
// operator; the chain stays wrapped.
func (g group) explain(operation string, pages int, err error) error {
	read := fmt.Sprintf("log group %q", g.name)
	code := codeOf(err)
	switch code {
	case "ResourceNotFoundException":
		return fmt.Errorf("%s does not exist in %s: set %s, and region to where it is: %w", read, g.where(), g.setting, err)
	case "AccessDeniedException", "AccessDenied":
		return fmt.Errorf("%s may not be read: allow logs:%s on %s: %w", read, operation, g.arn(), err)
	case "InvalidParameterException":
		return fmt.Errorf("%s: the filter pattern or the window was refused: check %s: %w", read, g.patterns, err)
	case "ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId":
		return fmt.Errorf("%s: AWS refused the credentials of this program: %w", read, err)
	}
	if throttled(code) {
		return fmt.Errorf("%s: throttled by AWS after %d pages, others in the account use the same quota of %s: try again in a minute or ask for a shorter window: %w", read, pages, operation, err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: out of time after %d pages: %w", read, pages, err)
	}
	return fmt.Errorf("reading %s: %w", read, runbook.Plainly(err))
}

func throttled(code string) bool {
	switch code {
	case "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException", "LimitExceededException", "RequestLimitExceeded":
		return true
	}
	return false
}

func (g group) where() string {
	if g.region == "" {
		return "the default Region"
	}
	return g.region
}

// arn is the resource that a policy names.
func (g group) arn() string {
	if isARN(g.name) {
		return strings.TrimSuffix(g.name, ":*") + ":*"
	}
	region := g.region
	if region == "" {
		region = "REGION"
	}
	return "arn:aws:logs:" + region + ":ACCOUNT:log-group:" + g.name + ":*"
}
