package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"
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
func (l *Logs) explain(pages int, err error) error {
	read := fmt.Sprintf("log group %q", l.group)
	code := codeOf(err)
	switch code {
	case "ResourceNotFoundException":
		return fmt.Errorf("%s does not exist in %s: set authoriser.log_group to the log group of the authoriser, and region to where it is: %w", read, l.where(), err)
	case "AccessDeniedException", "AccessDenied":
		return fmt.Errorf("%s may not be read: allow logs:FilterLogEvents on %s: %w", read, l.arn(), err)
	case "InvalidParameterException":
		return fmt.Errorf("%s: the filter pattern or the window was refused: check authoriser.failure_pattern and success_pattern: %w", read, err)
	case "ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId":
		return fmt.Errorf("%s: AWS refused the credentials of this program: %w", read, err)
	}
	if throttled(code) {
		return fmt.Errorf("%s: throttled by AWS after %d pages, others in the account use the same quota of FilterLogEvents: try again in a minute or ask for a shorter window: %w", read, pages, err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: out of time after %d pages: %w", read, pages, err)
	}
	return fmt.Errorf("reading %s: %w", read, err)
}

func throttled(code string) bool {
	switch code {
	case "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException", "LimitExceededException", "RequestLimitExceeded":
		return true
	}
	return false
}

func (l *Logs) where() string {
	if l.region == "" {
		return "the default Region"
	}
	return l.region
}

// arn is the resource that a policy names.
func (l *Logs) arn() string {
	if isARN(l.group) {
		return strings.TrimSuffix(l.group, ":*") + ":*"
	}
	region := l.region
	if region == "" {
		region = "REGION"
	}
	return "arn:aws:logs:" + region + ":ACCOUNT:log-group:" + l.group + ":*"
}
