package drill

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"jwksbot/runbook"
)

const (
	// logTime is how a Lambda runtime writes time.
	logTime = "2006-01-02T15:04:05.000Z"
	// keepRecord is how long logs and metrics are kept.
	keepRecord = 3 * time.Hour
	// maxLogEvents bounds memory when the clock runs fast.
	maxLogEvents = 100_000
	// bucket is one point of the panel's fine series.
	bucket = 5 * time.Second
)

// logLine is what the authoriser writes.
type logLine struct {
	at      time.Time
	request string
	stream  string
	level   string
	text    string
}

// logEvent is a line as CloudWatch Logs keeps it.
type logEvent struct {
	id      int // grows by one per event
	at      int64
	stream  string
	message string
}

// logStream is what CloudWatch Logs tells about a stream; times in ms.
type logStream struct {
	name        string
	first, last int64
}

// minute is what happened in one minute.
type minute struct {
	requests, rejected float64
	hits, misses       float64
	invocations        float64 // of the authoriser
	errors             float64 // of these
}

// outcome counts requests of one bucket.
type outcome struct{ ok, failed int }

// record is everything that can be watched from outside. It is written by the
// traffic and read by the endpoints.
type record struct {
	clock runbook.Clock

	mu        sync.RWMutex
	events    []logEvent // of the function, by time, then by id
	accesses  []logEvent // of the gateway's access log, likewise
	nextID    int
	streams   map[string]*logStream
	minutes   map[int64]*minute  // by Unix minute
	buckets   map[int64]*outcome // by bucket number
	lastError logLine
	lastGood  time.Time
}

func newRecord(c runbook.Clock) *record {
	return &record{clock: c, streams: map[string]*logStream{}, minutes: map[int64]*minute{}, buckets: map[int64]*outcome{}}
}

// log appends a line in the shape of a Node.js Lambda function's.
func (r *record) log(l logLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.append(l.at, l.stream, fmt.Sprintf("%s\t%s\t%s\t%s\n", l.at.UTC().Format(logTime), l.request, l.level, l.text))
	if l.level == "ERROR" {
		r.lastError = l
	} else {
		r.lastGood = l.at
	}
}

// started is the line that Lambda writes when an execution environment starts.
func (r *record) started(at time.Time, stream string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.append(at, stream, "INIT_START Runtime Version: nodejs:24.v7\tRuntime Version ARN: arn:aws:lambda:"+Region+"::runtime:0cdc5c1b\n")
}

// append adds an event to the function's log group. Called with the lock held.
func (r *record) append(at time.Time, stream, message string) {
	r.nextID++
	r.events = append(r.events, logEvent{id: r.nextID, at: at.UnixMilli(), stream: stream, message: message})
	if len(r.events) > maxLogEvents+maxLogEvents/10 {
		r.events = append([]logEvent(nil), r.events[len(r.events)-maxLogEvents:]...)
	}
	s := r.streams[stream]
	if s == nil {
		s = &logStream{name: stream, first: at.UnixMilli()}
		r.streams[stream] = s
	}
	s.last = at.UnixMilli()
}

// count changes the minute that at falls into.
func (r *record) count(at time.Time, change func(*minute)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := at.Unix() / 60
	m := r.minutes[n]
	if m == nil {
		m = &minute{}
		r.minutes[n] = m
		r.forget(at)
	}
	change(m)
}

// request counts one answer of the gateway and writes it into the access log.
func (r *record) request(at time.Time, status int) {
	ok := status == http.StatusOK
	r.count(at, func(m *minute) {
		r.access(at, status)
		m.requests++
		if !ok {
			m.rejected++
		}
		n := at.UnixNano() / int64(bucket)
		b := r.buckets[n]
		if b == nil {
			b = &outcome{}
			r.buckets[n] = b
		}
		if ok {
			b.ok++
		} else {
			b.failed++
		}
	})
}

// forget drops what is too old to be kept. Called with the lock held, once a
// minute.
func (r *record) forget(at time.Time) {
	limit := at.Add(-keepRecord)
	for n := range r.minutes {
		if n < limit.Unix()/60 {
			delete(r.minutes, n)
		}
	}
	for n := range r.buckets {
		if n*int64(bucket) < at.Add(-2*seriesLength).UnixNano() {
			delete(r.buckets, n)
		}
	}
	for _, events := range []*[]logEvent{&r.events, &r.accesses} {
		if i := firstEvent(*events, limit.UnixMilli()); i > maxLogEvents/10 {
			*events = append([]logEvent(nil), (*events)[i:]...)
		}
	}
}

// access writes one line of the access log, in the JSON format that API Gateway
// suggests. Called with the lock held.
func (r *record) access(at time.Time, status int) {
	r.nextID++
	r.accesses = append(r.accesses, logEvent{id: r.nextID, at: at.UnixMilli(), stream: accessStream, message: fmt.Sprintf(
		`{"requestId":"%08x-0000-4000-8000-000000000000","ip":"198.51.100.7","requestTime":"%s","httpMethod":"GET","routeKey":"/orders","status":"%d","protocol":"HTTP/1.1"}`+"\n",
		r.nextID, at.UTC().Format("02/Jan/2006:15:04:05 -0700"), status)})
	if len(r.accesses) > maxLogEvents+maxLogEvents/10 {
		r.accesses = append([]logEvent(nil), r.accesses[len(r.accesses)-maxLogEvents:]...)
	}
}

// accessStream is the only log stream of the access log.
const accessStream = "d41d8cd98f00b204e9800998ecf8427e"

// firstEvent is the index of the first event at or after ms.
func firstEvent(events []logEvent, ms int64) int {
	return sort.Search(len(events), func(i int) bool { return events[i].at >= ms })
}

// window returns the function's events from ms start to end, both inclusive.
// The slice is shared and never changed: events are only appended or replaced as
// a whole.
func (r *record) window(start, end int64) []logEvent {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return within(r.events, start, end)
}

// accessWindow is window for the gateway's access log.
func (r *record) accessWindow(start, end int64) []logEvent {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return within(r.accesses, start, end)
}

func within(events []logEvent, start, end int64) []logEvent {
	return events[firstEvent(events, start):firstEvent(events, end+1):len(events)]
}

// logStreams returns copies, by name.
func (r *record) logStreams() []logStream {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []logStream
	for _, s := range r.streams {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b logStream) int { return strings.Compare(a.name, b.name) })
	return all
}

// minuteAt returns a copy of the minute that at falls into.
func (r *record) minuteAt(at time.Time) (minute, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m := r.minutes[at.Unix()/60]
	if m == nil {
		return minute{}, false
	}
	return *m, true
}

// hexID returns n random bytes in hexadecimal.
func hexID(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return hex.EncodeToString(b)
}

// uuid returns a random UUID as Lambda request ids are.
func uuid(rng *rand.Rand) string {
	h := hexID(rng, 16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}
