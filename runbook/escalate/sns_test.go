package escalate

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"jwksbot/runbook"
)

const topic = "arn:aws:sns:eu-west-2:111122223333:identity-oncall"

// topics answers SNS' Query protocol from a list, then accepts.
func topics(t *testing.T, arn string, answers ...func(http.ResponseWriter)) (s *SNS, published func() []url.Values) {
	t.Helper()
	var mu sync.Mutex
	var got []url.Values
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-2/sns/") {
			http.Error(w, "signature", http.StatusForbidden)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.PostForm)
		if len(answers) > 0 {
			answers[0](w)
			answers = answers[1:]
			return
		}
		fmt.Fprint(w, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>`)
	}))
	t.Cleanup(srv.Close)
	s, err := NewSNS(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(srv.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}, arn)
	if err != nil {
		t.Fatal(err)
	}
	return s, func() []url.Values {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

func fails(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error></ErrorResponse>`, code)
	}
}

// hangsUp ends the connection after the request was read: the answer is lost.
func hangsUp(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func TestAnAnnouncementGoesToTheTopicsOwnRegion(t *testing.T) {
	s, got := topics(t, topic)
	id, err := s.Publish(t.Context(), alarm)
	if err != nil || id != "m-1" {
		t.Fatalf("%q, %v", id, err)
	}
	form := got()[0]
	if form.Get("TopicArn") != topic || form.Get("Subject") != "Token validation fails: production INC-2026-0214-001" {
		t.Errorf("form: %v", form)
	}
	body := form.Get("Message")
	for _, want := range []string{alarm.Summary, "Target: production", "Run: run-7", "2026-02-14 03:01:00 UTC", "- 11 minutes above 10 %"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in %q", want, body)
		}
	}
	if strings.Contains(body, "abc.def.ghi") {
		t.Error("a token was announced")
	}
	if !strings.Contains(form.Encode(), "severity") || form.Has("MessageGroupId") {
		t.Errorf("attributes: %v", form)
	}
}

func TestAFifoTopicGetsItsGroup(t *testing.T) {
	s, got := topics(t, topic+".fifo")
	if _, err := s.Publish(t.Context(), alarm); err != nil {
		t.Fatal(err)
	}
	if form := got()[0]; form.Get("MessageGroupId") != "production" || form.Get("MessageDeduplicationId") != "run-7" {
		t.Errorf("form: %v", form)
	}
}

func TestOnlyAnAnsweredFailureIsRepeated(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []func(http.ResponseWriter)
		sent    int
		says    string // "": it went well
	}{
		{"throttled, then taken", []func(http.ResponseWriter){fails(400, "Throttling")}, 2, ""},
		{"out of order, then taken", []func(http.ResponseWriter){fails(500, "InternalError")}, 2, ""},
		{"the answer is lost", []func(http.ResponseWriter){hangsUp}, 1, "may have been announced"},
		{"not allowed", []func(http.ResponseWriter){fails(403, "AuthorizationError")}, 1, "allow sns:Publish"},
		{"no such topic", []func(http.ResponseWriter){fails(404, "NotFound")}, 1, "does not exist"},
		{"expired credentials", []func(http.ResponseWriter){fails(403, "ExpiredToken")}, 1, "refused the credentials"},
		{"anything else", []func(http.ResponseWriter){fails(400, "InvalidParameter")}, 1, "by hand"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, got := topics(t, topic, c.answers...)
			_, err := s.Publish(t.Context(), alarm)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), topic)) {
				t.Errorf("error: %v", err)
			}
			if len(got()) != c.sent {
				t.Errorf("sent %d times, want %d", len(got()), c.sent)
			}
		})
	}
}

// Over every status, as for PagerDuty; only an answer of these codes or statuses
// is repeated.
func TestEveryStatusOfATopicSaysWhetherARetryCanHelp(t *testing.T) {
	for status := 400; status < 600; status++ {
		s, got := topics(t, topic, fails(status, "InvalidParameter"))
		_, err := s.Publish(t.Context(), alarm)
		repeated := status == 500 || status == 503
		if (err == nil) != repeated || repeated != (len(got()) == 2) {
			t.Errorf("%d: sent %d times: %v", status, len(got()), err)
		}
		if again := status == 408 || status == 429 || status >= 500; err != nil && runbook.IsDenied(err) == again {
			t.Errorf("%d: denied %v: %v", status, runbook.IsDenied(err), err)
		}
	}
	s, _ := topics(t, topic, hangsUp)
	if _, err := s.Publish(t.Context(), alarm); runbook.IsDenied(err) {
		t.Errorf("a lost answer: %v", err)
	}
}

func TestASubjectIsShortPlainASCII(t *testing.T) {
	for _, a := range []runbook.Alarm{alarm, {Target: "pröduction\n\x00", Ticket: strings.Repeat("INC-é", 100)}, {}} {
		s := subject(a)
		if len(s) > subjectLimit || !strings.HasPrefix(s, "Token") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%d bytes: %q", len(s), s)
		}
	}
}

func TestWhatIsNoTopicIsRefused(t *testing.T) {
	for _, arn := range []string{"", "identity-oncall", "arn:aws:sqs:eu-west-2:111122223333:q", "arn:aws:sns::111122223333:t", "arn:aws:sns:eu-west-2::t", topic + ":subscription-id"} {
		if _, err := NewSNS(aws.Config{}, arn); err == nil || !strings.Contains(err.Error(), "escalation.sns_topic") {
			t.Errorf("%q: %v", arn, err)
		}
	}
}
