package drill

import (
	"encoding/xml"
	"net/http"
	"slices"
)

// Topic is the SNS topic of the on-call team.
const Topic = "arn:aws:sns:" + Region + ":" + Account + ":drill-oncall"

// Notice is one announcement on the topic.
type Notice struct {
	ID, Subject, Message string
}

type publishResponse struct {
	XMLName xml.Name `xml:"http://sns.amazonaws.com/doc/2010-03-31/ PublishResponse"`
	ID      string   `xml:"PublishResult>MessageId"`
	Request string   `xml:"ResponseMetadata>RequestId"`
}

// publish keeps what is announced; each call is heard once more.
func (e *endpoints) publish(c awsCall) error {
	form := c.form()
	switch subject := form.Get("Subject"); {
	case form.Get("TopicArn") != Topic:
		return apiError{http.StatusNotFound, "NotFound", "Topic does not exist"}
	case form.Get("Message") == "":
		return apiError{http.StatusBadRequest, "InvalidParameter", "Invalid parameter: Empty message"}
	case len(form.Get("Message")) > 256<<10:
		return apiError{http.StatusBadRequest, "InvalidParameter", "Invalid parameter: Message too long"}
	case len(subject) > 100 || slices.ContainsFunc([]rune(subject), func(r rune) bool { return r < ' ' || r > '~' }):
		return apiError{http.StatusBadRequest, "InvalidParameter", "Invalid parameter: Subject"}
	}
	n := Notice{requestID(e.requests.Load()), form.Get("Subject"), form.Get("Message")}
	e.mu.Lock()
	e.notices = append(e.notices, n)
	e.mu.Unlock()
	return writeXML(c.rw, http.StatusOK, publishResponse{ID: n.ID, Request: c.rw.Header().Get("X-Amzn-Requestid")})
}

// Notices are the announcements on the topic, oldest first.
func (w *World) Notices() []Notice {
	w.aws.mu.Lock()
	defer w.aws.mu.Unlock()
	return slices.Clone(w.aws.notices)
}
