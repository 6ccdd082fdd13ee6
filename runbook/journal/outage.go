package journal

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// outageEvery is how often the log is reminded of an outage.
const outageEvery = time.Minute

// outage tells the log when the server takes no connections: once when that
// begins, once a minute while it lasts, and once when it is over. It sees every
// attempt to connect, of the pools and of the locks, so that whoever meets with
// the error need not log it, too.
type outage struct {
	log  *slog.Logger
	name string

	mu       sync.Mutex
	watching bool
	since    time.Time // zero: the server takes connections
	told     time.Time
}

// watch begins to tell.
func (o *outage) watch() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watching = true
}

// TraceConnectStart implements pgx.ConnectTracer.
func (o *outage) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (o *outage) TraceConnectEnd(_ context.Context, data pgx.TraceConnectEndData) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !o.watching || errors.Is(data.Err, context.Canceled):
	case data.Err == nil:
		o.over(time.Now())
	default:
		o.lasts(time.Now(), data.Err)
	}
}

func (o *outage) lasts(now time.Time, err error) {
	if o.since.IsZero() {
		o.since = now
	} else if now.Sub(o.told) < outageEvery {
		return
	}
	o.told = now
	o.log.Error("the journal cannot be reached: until it can, nothing is requested, approved or carried out, and open runs wait; check the address, the network and the server",
		"journal", o.name, "for", now.Sub(o.since).Round(time.Second).String(), "error", err)
}

func (o *outage) over(now time.Time) {
	if o.since.IsZero() {
		return
	}
	o.log.Info("the journal can be reached again, open runs go on", "journal", o.name, "after", now.Sub(o.since).Round(time.Second).String())
	o.since = time.Time{}
}

// TraceQueryStart implements pgx.QueryTracer, which a pgx.ConnectTracer has to
// be; queries are not looked at.
func (o *outage) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (o *outage) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
