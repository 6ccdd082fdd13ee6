package escalate

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAnswer is the largest answer that is read.
const maxAnswer = 64 << 10

// exchange carries one request of the SDK and keeps what the SDK forgets.
type exchange struct {
	http *http.Client

	status     int           // 0: there was no answer
	retryAfter time.Duration // what a busy service asks for
	excerpt    string        // beginning of an answer that is no success
	err        error         // why there was no answer
}

// Do carries out the request.
func (x *exchange) Do(req *http.Request) (*http.Response, error) {
	resp, err := x.http.Do(req)
	if err != nil {
		x.err = err
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read as far as it is wanted
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	x.status = resp.StatusCode
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		x.retryAfter = time.Duration(s) * time.Second
	}
	if x.status >= 300 {
		x.excerpt = strings.Join(strings.Fields(string(body)), " ")
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// temporary says that the same event may be taken later.
func (x *exchange) temporary() bool {
	return x.status == 0 || x.status == http.StatusTooManyRequests || x.status == http.StatusRequestTimeout || x.status >= 500
}
