package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

// allocated is how many bytes were allocated since the process began.
func allocated() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

const mebibyte = 1 << 20

// fillLarge makes one value of each kind that is too large to be read, and a
// sound one.
func fillLarge(t *testing.T, addr string, members int) {
	t.Helper()
	raw := redis.NewClient(&redis.Options{Addr: addr})
	defer raw.Close()
	ctx := testContext(t)
	big := strings.Repeat("x", mebibyte)
	for i := range members {
		member := fmt.Sprint(i) + big
		for _, err := range []error{raw.RPush(ctx, "jwks:list", member).Err(), raw.SAdd(ctx, "jwks:set", member).Err(),
			raw.HSet(ctx, "jwks:hash", fmt.Sprint(i), big).Err(), raw.ZAdd(ctx, "jwks:zset", redis.Z{Score: float64(i), Member: member}).Err(),
			raw.Append(ctx, "jwks:string", big).Err()} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	raw.Set(ctx, "jwks:sound", `{"keys":[]}`, 0)
}

// What is too large is not fetched: it says so, the others are read, and no more
// is allocated than for a small cache. It is not fetched for a copy either.
func TestLargeValuesAreNotFetched(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	fillLarge(t, r.Addr, 50)
	s := newStore(t, Settings{URL: "redis://" + r.Addr, MaxBytes: 20 * mebibyte})
	before := allocated()
	got, err := listAll(testContext(t), s)
	if used := allocated() - before; err != nil || used > 4*mebibyte {
		t.Errorf("%d bytes allocated, error %v", used, err)
	}
	want := map[string]string{"jwks:hash": "too large: 50 elements in ", "jwks:list": "too large: 50 elements in ", "jwks:set": "too large: 50 elements in ",
		"jwks:zset": "too large: 50 elements in ", "jwks:string": "too large: 52,428,800 bytes, not read", "jwks:sound": ""}
	for _, e := range got.Entries {
		if !strings.HasPrefix(e.Unread, want[e.Name]) || (e.Unread == "") != (e.Size() > 0) || e.Bytes == 0 {
			t.Errorf("%s: %q, %d bytes read of %d", e.Name, e.Unread, e.Size(), e.Bytes)
		}
	}
	if len(got.Entries) != len(want) || got.Truncated {
		t.Errorf("%d entries, truncated %v", len(got.Entries), got.Truncated)
	}
	for name := range want {
		before := allocated()
		saved, err := s.Snapshot(testContext(t), []string{name, "jwks:sound"})
		if used := allocated() - before; used > 4*mebibyte {
			t.Errorf("snapshot of %s: %d bytes allocated", name, used)
		}
		if large := name != "jwks:sound"; errors.Is(err, ErrTooLarge) != large || large != (saved == nil) {
			t.Errorf("snapshot of %s: %d entries, %v", name, len(saved), err)
		}
	}
}

// A server that does not say what memory a value takes sends no more than a
// connection takes in; which value that was is known, and those behind it are
// read.
func TestLargeValuesOfAServerThatDoesNotTell(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	fillLarge(t, r.Addr, 20)
	r.CLI(t, "acl", "setuser", "mute", "on", ">secret", "~*", "+@all", "-memory|usage")
	s := newStore(t, Settings{URL: "redis://" + r.Addr, Username: "mute", Password: "secret"})
	before := allocated()
	got, err := listAll(testContext(t), s)
	if used := allocated() - before; err != nil || used > 200*mebibyte {
		t.Errorf("%d bytes allocated, error %v", used, err)
	}
	for _, e := range got.Entries {
		if unread := e.Name != "jwks:sound"; unread != strings.HasPrefix(e.Unread, "too large: ") {
			t.Errorf("%s: %q", e.Name, e.Unread)
		}
	}
	if len(got.Entries) != 6 {
		t.Errorf("%d entries", len(got.Entries))
	}
}

// A copy is kept of what is too large to be judged, as long as all copies are
// small enough; it is the same entry as the listing's.
func TestSnapshotOfWhatIsNotRead(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	raw := redis.NewClient(&redis.Options{Addr: r.Addr})
	defer raw.Close()
	ctx := testContext(t)
	raw.Set(ctx, "jwks:1", strings.Repeat("x", maxValue+1), 0)
	pipe := raw.Pipeline()
	for i := range maxParts + 1 {
		pipe.HSet(ctx, "jwks:2", i, "v")
	}
	for range 6 { // more than one answer may be
		raw.RPush(ctx, "jwks:3", strings.Repeat("x", 2*mebibyte))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, Settings{URL: "redis://" + r.Addr})
	got, err := listAll(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := s.Snapshot(ctx, []string{"jwks:1", "jwks:2", "jwks:3"})
	if err != nil || len(saved) != 3 || len(got.Entries) != 3 {
		t.Fatalf("%d saved, %d listed: %v", len(saved), len(got.Entries), err)
	}
	for i, e := range saved {
		l := got.Entries[i]
		if e.Size() > 0 || len(e.Payload) == 0 || e.Unread == "" || e.Elements != l.Elements || e.Type == "string" && e.Bytes != l.Bytes {
			t.Errorf("%s: saved %d bytes and %q, %d elements; listed %q, %d", e.Name, len(e.Payload), e.Unread, e.Elements, l.Unread, l.Elements)
		}
	}
	fates, err := s.Compare(ctx, saved)
	for _, f := range fates {
		if f.Fate != runbook.FateLeft {
			t.Errorf("%s: %s", f.Name, f.Fate)
		}
	}
	if err != nil || len(fates) != 3 {
		t.Errorf("%d fates: %v", len(fates), err)
	}
}

// Names may have any length, too: the listing goes on in smaller steps.
func TestLongNamesAreListedInSmallSteps(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	raw := redis.NewClient(&redis.Options{Addr: r.Addr})
	defer raw.Close()
	ctx := testContext(t)
	for i := range 30 {
		if err := raw.Set(ctx, fmt.Sprintf("jwks:%02d%s", i, strings.Repeat("n", mebibyte)), "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s := newStore(t, Settings{URL: "redis://" + r.Addr})
	if got, err := listAll(ctx, s); err != nil || len(got.Entries) != 30 {
		t.Errorf("%d entries: %v", len(got.Entries), err)
	}
	s = newStore(t, Settings{URL: "redis://" + r.Addr, MaxBytes: 3 * mebibyte})
	if got, err := listAll(ctx, s); err != nil || !got.Truncated || len(got.Entries) > 3 {
		t.Errorf("%d entries, truncated %v: %v", len(got.Entries), got.Truncated, err)
	}
	if err := raw.Set(ctx, "jwks:"+strings.Repeat("n", 20*mebibyte), "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := listAll(context.WithoutCancel(ctx), s); err == nil || !strings.Contains(err.Error(), "its answer is longer than 16 MiB") {
		t.Errorf("a name of 20 MiB: %v", err)
	}
}
