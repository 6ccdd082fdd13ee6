package drill

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
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
}

// outcome counts requests of one bucket.
type outcome struct{ ok, failed int }

// record is everything that can be watched from outside. It is written by the
// traffic and read by the endpoints.
type record struct {
	clock runbook.Clock

	mu        sync.RWMutex
	events    []logEvent // by time, then by id
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
	r.nextID++
	r.events = append(r.events, logEvent{
		id: r.nextID, at: l.at.UnixMilli(), stream: l.stream,
		message: fmt.Sprintf("%s\t%s\t%s\t%s\n", l.at.UTC().Format(logTime), l.request, l.level, l.text),
	})
	if len(r.events) > maxLogEvents+maxLogEvents/10 {
		r.events = append([]logEvent(nil), r.events[len(r.events)-maxLogEvents:]...)
	}
	s := r.streams[l.stream]
	if s == nil {
		s = &logStream{name: l.stream, first: l.at.UnixMilli()}
		r.streams[l.stream] = s
	}
	s.last = l.at.UnixMilli()
	if l.level == "ERROR" {
		r.lastError = l
	} else {
		r.lastGood = l.at
	}
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

// request counts one answer of the gateway.
func (r *record) request(at time.Time, ok bool) {
	r.count(at, func(m *minute) {
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
	if i := r.firstEvent(limit.UnixMilli()); i > maxLogEvents/10 {
		r.events = append([]logEvent(nil), r.events[i:]...)
	}
}

// firstEvent is the index of the first event at or after ms.
func (r *record) firstEvent(ms int64) int {
	return sort.Search(len(r.events), func(i int) bool { return r.events[i].at >= ms })
}

// window returns the events from ms start to end, both inclusive. The slice is
// shared and never changed: events are only appended or replaced as a whole.
func (r *record) window(start, end int64) []logEvent {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.events[r.firstEvent(start):r.firstEvent(end+1):len(r.events)]
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
