package runbook

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// Listing is what one pass over every primary of a cache found.
type Listing struct {
	Shards    []Shard
	Entries   []Entry // entries that match the target's patterns, sorted by name
	Matched   int64   // how many match, also those that were not read
	Others    int64   // keys that do not match
	Truncated bool    // there are more matching entries than the limit allows to read
}

// ErrTooLarge says that entries are too large for a copy to be kept of them.
var ErrTooLarge = errors.New("too large for a copy")

// Saved is one entry as it was at the moment of the snapshot: read atomically
// on the server, together with the raw value that a decoder can judge.
type Saved struct {
	RawEntry
	// Payload is the server's serialisation (DUMP): what the deletion compares
	// with and what a restore writes back. It goes into the journal's snapshot
	// table and nowhere else.
	Payload []byte
	// Sum stands for a payload that is not held.
	Sum Sum
	At  time.Time
}

// Sum identifies a payload: its SHA-1, which a server computes as well. The zero
// Sum is of none.
type Sum [sha1.Size]byte

// SumOf returns the sum of a payload.
func SumOf(payload []byte) Sum {
	if len(payload) == 0 {
		return Sum{}
	}
	return sha1.Sum(payload)
}

// LeaseFor is how old the answer of the fence may be when something is sent on
// it. It ends before another process may begin to execute.
const LeaseFor = 2 * time.Second

// Lease is the right of this process to change something in batches, for as
// long as it is the one that executes.
type Lease interface {
	// Hold returns nil as soon as a batch may begin. It is called before each.
	Hold(ctx context.Context) error
	// Check is asked right before something is sent, and never waits.
	Check() error
}

// Fate is what became of one saved entry.
type Fate string

// Fates of a saved entry.
const (
	FateLeft      Fate = "left"      // still there, byte for byte as it was
	FateDeleted   Fate = "deleted"   // deleted by this run
	FateGone      Fate = "gone"      // no entry of that name
	FateRewritten Fate = "rewritten" // somebody wrote another value since; it was not touched
	FateExpired   Fate = "expired"   // its TTL has passed since; it is not written back
)

// Checksum identifies the saved bytes.
func (s Saved) Checksum() string {
	sum := sha256.Sum256(s.Payload)
	return hex.EncodeToString(sum[:8])
}

// Expired says that the entry would be gone by itself now.
func (s Saved) Expired(now time.Time) bool { return s.TTL != NoExpiry && now.Sub(s.At) >= s.TTL }
