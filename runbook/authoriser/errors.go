package authoriser

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/smithy-go"

	"jwksbot/runbook"
)

// codeOf returns the error code that AWS answered, "" when it did not answer.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func denied(code string) bool { return code == "AccessDeniedException" || code == "AccessDenied" }

func throttled(code string) bool {
	switch code {
	case "TooManyRequestsException", "ThrottlingException", "Throttling", "LimitExceededException", "RequestLimitExceeded":
		return true
	}
	return false
}

func missing(code string) bool {
	return code == "ResourceNotFoundException" || code == "NotFoundException"
}

// passing says that the same call may succeed in a moment: AWS was busy or out
// of order, or a connection broke.
func passing(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	return throttled(api.ErrorCode()) || api.ErrorFault() == smithy.FaultServer
}

// call is one operation as the operator knows it: what it was for, and what a
// policy has to allow.
type call struct {
	doing    string // "reading function \"x\""
	action   string // "lambda:GetFunctionConfiguration"
	resource string // as in a policy
}

// explain says what went wrong and what to do; the chain stays wrapped. What is
// missing differs by caller and is theirs to explain.
func (c call) explain(err error) error {
	code := codeOf(err)
	switch {
	case denied(code):
		return &runbook.Denied{Err: fmt.Errorf("%s is not permitted: allow %s on %s: %w", c.doing, c.action, c.resource, err)}
	case throttled(code):
		return fmt.Errorf("%s: throttled by AWS: try again in a minute: %w", c.doing, err)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: out of time: %w", c.doing, err)
	}
	switch code {
	case "ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId":
		return fmt.Errorf("%s: AWS refused the credentials of this program: %w", c.doing, err)
	}
	return fmt.Errorf("%s: %w", c.doing, runbook.Plainly(err))
}

func refuse(code, format string, args ...any) *runbook.Refusal {
	return &runbook.Refusal{Code: code, Text: fmt.Sprintf(format, args...)}
}

// clockTime is how a moment is written for people.
func clockTime(t time.Time) string { return t.UTC().Format("15:04:05 MST") }
