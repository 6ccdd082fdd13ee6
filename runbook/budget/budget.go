package budget

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"jwksbot/runbook"
)

// Budget is what the decoding of stored bytes may cost. Whoever reads bytes
// that somebody else made charges it before anything is built, so that a few
// bytes that stand for much (copies of copies, references, compression) end
// here and not in the memory of the process. A check has one, and gives each
// entry a share of it in proportion to the entry's size.
//
// A budget that has run out stays so, and says why. It may be charged by
// several goroutines at once.
type Budget struct {
	Limits              Limits
	bytes, nodes, steps atomic.Int64 // charged so far
	kept                atomic.Int64 // by Keep
	until               time.Time
	done                <-chan struct{}
	spent               atomic.Pointer[string]
}

// Limits are the measures of a budget; 0 is no limit.
type Limits struct {
	Bytes int64         // memory that is built, whether or not it is kept
	Nodes int64         // values that are built: list items, members, references
	Steps int64         // work, a step being a nanosecond or two
	Time  time.Duration // real time, for what the steps do not foresee
	Kept  int64         // memory that outlives the reading of an entry
}

// Limits of the reading of one cache. They are far above what key sets need: a
// set of ten keys costs some 400,000 steps and 30 KB.
var checkLimits = Limits{Steps: 2_000_000_000, Time: 8 * time.Second, Kept: 12 << 20}

const (
	// nodeBytes and nodeSteps are what a value costs beside its text.
	nodeBytes = 64
	nodeSteps = 16

	entryTime = 2 * time.Second
	// lookEvery is how many steps pass between two looks at the clock.
	lookEvery = 1 << 16
	// assuredKept is what may be kept of an entry even when others have used up
	// the rest: three ordinary keys.
	assuredKept = 4 << 10
)

// EntryLimits let the reading of an entry cost a fixed multiple of its size, and
// something for small ones.
func EntryLimits(bytes int) Limits {
	size := int64(bytes)
	return Limits{Bytes: min(4<<20+32*size, 28<<20), Nodes: min(1<<14+2*size, 1<<19), Steps: min(3_000_000+256*size, 200_000_000), Time: entryTime}
}

// assuredLimits are for entries whose turn comes after others have used up the
// steps of the check: enough for an ordinary key set.
func assuredLimits(bytes int) Limits {
	l, size := EntryLimits(bytes), int64(bytes)
	l.Bytes, l.Steps = min(l.Bytes, 1<<20+16*size), min(l.Steps, 100_000+128*size)
	return l
}

// New returns a budget that ends with the context, and before its
// deadline: there must be time left to say what was read.
func New(ctx context.Context, l Limits) *Budget {
	b := &Budget{Limits: l, done: ctx.Done()}
	now := time.Now()
	if l.Time > 0 {
		b.until = now.Add(l.Time)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if end := now.Add(deadline.Sub(now) * 3 / 4); b.until.IsZero() || end.Before(b.until) {
			b.until = end
		}
	}
	return b
}

// ForCheck is the budget of the reading of one cache.
func ForCheck(ctx context.Context) *Budget { return New(ctx, checkLimits) }

// Share is the budget of one entry of the given size.
func (b *Budget) Share(size int) *Budget {
	own := &Budget{Limits: EntryLimits(size), done: b.done, until: time.Now().Add(entryTime)}
	if b.Limits.Steps > 0 && b.steps.Load() > b.Limits.Steps {
		own.Limits = assuredLimits(size)
	}
	if !b.until.IsZero() && b.until.Before(own.until) {
		own.until, own.Limits.Time = b.until, 0
	}
	own.look()
	return own
}

// Keep takes back an entry's share and charges what is kept of the entry; false
// says that there is no room for it.
func (b *Budget) Keep(share *Budget, bytes int) bool {
	b.steps.Add(share.steps.Load())
	more := int64(bytes - assuredKept)
	if more <= 0 || b.Limits.Kept == 0 {
		return true
	}
	if b.kept.Add(more) > b.Limits.Kept {
		b.kept.Add(-more)
		return false
	}
	return true
}

// Bytes charges memory that is about to be built; false says not to build it.
func (b *Budget) Bytes(n int) bool {
	if over(b.bytes.Add(int64(n)), b.Limits.Bytes) {
		b.end("took more than %s of memory", ByteSize(b.Limits.Bytes))
	}
	return !b.Spent()
}

// Nodes charges values that are about to be built; false says not to build them.
func (b *Budget) Nodes(n int) bool {
	if over(b.nodes.Add(int64(n)), b.Limits.Nodes) {
		b.end("took more than %s values", runbook.Thousands(b.Limits.Nodes))
	}
	return b.Bytes(nodeBytes*n) && b.Steps(nodeSteps*n)
}

// Steps charges work that is about to be done; false says not to do it.
func (b *Budget) Steps(n int) bool {
	now := b.steps.Add(int64(n))
	if over(now, b.Limits.Steps) {
		b.end("took more than %s steps", runbook.Thousands(b.Limits.Steps))
	} else if now/lookEvery != (now-int64(n))/lookEvery {
		b.look()
	}
	return !b.Spent()
}

func over(charged, limit int64) bool { return limit > 0 && charged > limit }

// look ends the budget when its time or its context has ended.
func (b *Budget) look() {
	select {
	case <-b.done:
		b.end("took longer than the check may take")
	default:
	}
	switch {
	case b.until.IsZero() || time.Now().Before(b.until):
	case b.Limits.Time == 0:
		b.end("took longer than the check may take")
	default:
		b.end("took more than %s", runbook.Duration(b.Limits.Time))
	}
}

// end keeps the first reason.
func (b *Budget) end(format string, args ...any) {
	if b.Spent() {
		return
	}
	why := fmt.Sprintf(format, args...)
	b.spent.CompareAndSwap(nil, &why)
}

// Spent says that the budget has run out.
func (b *Budget) Spent() bool { return b.spent.Load() != nil }

// Why says of what there was not enough, for a sentence: "took more than 1 MiB
// of memory"; "" while there is enough.
func (b *Budget) Why() string {
	if why := b.spent.Load(); why != nil {
		return *why
	}
	return ""
}

// ByteSize writes a size for people.
func ByteSize(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
