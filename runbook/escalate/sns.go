package escalate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"jwksbot/runbook"
)

// subjectLimit is the longest subject: "ASCII text … and must be less than 100
// characters" (SNS API, Publish).
const subjectLimit = 99

// publishAPI is what is called of SNS.
type publishAPI interface {
	Publish(context.Context, *sns.PublishInput, ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// SNS announces alarms on a topic.
type SNS struct {
	api   publishAPI
	topic arn.ARN
}

// NewSNS checks the topic's ARN, whose region is the one that is called.
func NewSNS(cfg aws.Config, topic string) (*SNS, error) {
	a, err := arn.Parse(topic)
	if err != nil || a.Service != "sns" || a.Region == "" || a.AccountID == "" || a.Resource == "" || strings.Contains(a.Resource, ":") {
		return nil, fmt.Errorf("sns: escalation.sns_topic %q is not a topic: write its ARN, like arn:aws:sns:eu-west-2:111122223333:identity-oncall", topic)
	}
	api := sns.NewFromConfig(cfg, func(o *sns.Options) {
		o.Region = a.Region
		o.Retryer = retry.NewStandard(answered)
	})
	return &SNS{api: api, topic: a}, nil
}

// answered allows a repetition only where SNS answered that it failed: a lost
// answer may mean that everybody was told.
func answered(o *retry.StandardOptions) {
	o.Retryables = []retry.IsErrorRetryable{
		retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes},
		retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{http.StatusInternalServerError: {}, http.StatusServiceUnavailable: {}}},
	}
}

// Publish announces the alarm and returns the id of the message. An answer that
// no repetition changes is a [runbook.Denied].
func (s *SNS) Publish(ctx context.Context, a runbook.Alarm) (id string, err error) {
	in := &sns.PublishInput{
		TopicArn: aws.String(s.topic.String()), Subject: aws.String(subject(a)), Message: aws.String(message(a)),
		MessageAttributes: attributes(map[string]string{"target": a.Target, "run": a.Run, "ticket": a.Ticket, "severity": "critical"}),
	}
	if strings.HasSuffix(s.topic.Resource, ".fifo") { // such topics demand both
		in.MessageGroupId, in.MessageDeduplicationId = aws.String(a.Target), aws.String(a.Key)
	}
	out, err := s.api.Publish(ctx, in)
	switch {
	case err == nil:
		return aws.ToString(out.MessageId), nil
	case final(err):
		return "", &runbook.Denied{Err: s.explain(err)}
	}
	return "", s.explain(err)
}

// final says that SNS answered, and would answer the same again.
func final(err error) bool {
	var resp *smithyhttp.ResponseError
	var api smithy.APIError
	if !errors.As(err, &resp) || !errors.As(err, &api) {
		return false
	}
	if _, busy := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; busy {
		return false
	}
	x := exchange{status: resp.HTTPStatusCode()}
	return !x.temporary()
}

// attributes are what subscribers filter by; an empty value is not allowed.
func attributes(values map[string]string) map[string]types.MessageAttributeValue {
	out := map[string]types.MessageAttributeValue{}
	for name, value := range values {
		if value = text(value, 200); value != "" {
			out[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
		}
	}
	return out
}

// subject is ASCII on one line, begins with a letter, and is short enough.
func subject(a runbook.Alarm) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '-'
		}
		return r
	}, "Token validation fails: "+text(a.Target, 60)+" "+text(a.Ticket, 60))
	return strings.TrimSpace(s[:min(len(s), subjectLimit)])
}

func message(a runbook.Alarm) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nTarget: %s\nTicket: %s\nRun: %s\n", text(a.Summary, summaryLimit), a.Target, text(a.Ticket, 100), a.Run)
	if !a.At.IsZero() {
		fmt.Fprintf(&b, "Time: %s\n", a.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	for _, line := range lines(a.Evidence, 30) {
		b.WriteString("- " + line + "\n")
	}
	return b.String()
}

// explain says what to do; what may have been heard is said.
func (s *SNS) explain(err error) error {
	topic := fmt.Sprintf("sns topic %q", s.topic)
	var api smithy.APIError
	var sent *smithyhttp.RequestSendError
	var garbled *smithy.DeserializationError
	switch {
	case errors.As(err, &sent) || errors.As(err, &garbled):
		return fmt.Errorf("%s: no usable answer; it may have been announced all the same, so it is not repeated: tell the on-call team by hand: %w", topic, err)
	case !errors.As(err, &api):
		return fmt.Errorf("%s: not announced: tell the on-call team by hand: %w", topic, err)
	}
	switch api.ErrorCode() {
	case "AuthorizationError", "AuthorizationErrorException", "AccessDenied", "AccessDeniedException":
		return fmt.Errorf("%s: may not be published to: allow sns:Publish on it, and kms:GenerateDataKey and kms:Decrypt where the topic is encrypted: %w", topic, err)
	case "NotFound", "NotFoundException":
		return fmt.Errorf("%s: does not exist: check escalation.sns_topic: %w", topic, err)
	case "InvalidClientTokenId", "ExpiredToken", "ExpiredTokenException", "SignatureDoesNotMatch", "UnrecognizedClientException":
		return fmt.Errorf("%s: AWS refused the credentials of this program: %w", topic, err)
	}
	return fmt.Errorf("%s: not announced: tell the on-call team by hand: %w", topic, err)
}
