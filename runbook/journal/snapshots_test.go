package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jwksbot/runbook"
)

func saved(name string, payload string) runbook.Saved {
	return runbook.Saved{RawEntry: runbook.RawEntry{Name: name, Shard: "0001", Type: "string", TTL: 43 * time.Minute, Bytes: len(payload)},
		Payload: []byte(payload), At: start}
}

func TestSnapshot(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		for _, key := range [][]byte{nil, []byte("0123456789abcdef0123456789abcdef")} {
			j := openWith(t, Settings{URL: url, SnapshotKey: key})
			id := fmt.Sprintf("r%d", len(key))
			create(t, j, pending(id, id))
			testSnapshot(t, j, id)
		}
	})
}

func testSnapshot(t *testing.T, j *Journal, id string) {
	ctx := context.Background()
	if err := j.SaveSnapshot(ctx, id, []runbook.Saved{saved("old", "old")}); err != nil {
		t.Fatal(err)
	}
	want := []runbook.Saved{saved("jwks:ünï", "a\x00\xff"), saved("jwks:\xff\x00", ""), saved(`"quoted"`, "c"), saved(`"open`, "d")}
	want[1].TTL = runbook.NoExpiry
	for i := range 250 { // several batches
		want = append(want, saved(fmt.Sprintf("jwks:%d", i), "e"))
	}
	const half = 130
	if err := errors.Join(j.SaveSnapshot(ctx, id, want[:half]), j.AddSnapshot(ctx, id, half, want), j.AddSnapshot(ctx, id, half, want[half:])); err != nil {
		t.Fatal(err)
	}
	sums, err := j.Sums(ctx, id)
	if err != nil || len(sums) != len(want) {
		t.Fatalf("%d sums, %v", len(sums), err)
	}
	for i, s := range sums {
		if s.Name != want[i].Name || s.Type != want[i].Type || s.Sum != runbook.SumOf(want[i].Payload) || s.Payload != nil {
			t.Errorf("sum %d: %+v", i, s)
		}
	}
	got, err := j.Snapshot(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	fates := []runbook.EntryFate{{Name: want[0].Name, Shard: "0001", Fate: runbook.FateLeft}, {Name: want[1].Name, Shard: "0001", Fate: runbook.FateDeleted}}
	for i := 4; i < len(want); i++ {
		fates = append(fates, runbook.EntryFate{Name: want[i].Name, Shard: "0001", Fate: runbook.FateRewritten})
	}
	if err := j.MarkFates(ctx, id, fates); err != nil {
		t.Fatal(err)
	}
	fates[0].Fate = runbook.FateGone
	elsewhere := fates[0]
	elsewhere.Shard = "127.0.0.1:7003" // its shard has failed over
	if err := j.MarkFates(ctx, id, []runbook.EntryFate{elsewhere}); err != nil {
		t.Fatal(err)
	}
	marked, err := j.Fates(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fates, marked); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	if err := j.SaveSnapshot(ctx, id, nil); !errors.Is(err, ErrSnapshotUsed) {
		t.Errorf("a snapshot in use was replaced: %v", err)
	}
	if err := j.MarkFates(ctx, id, []runbook.EntryFate{{Name: "nobody", Shard: "0001", Fate: runbook.FateLeft}}); err == nil {
		t.Error("a fate of an unknown entry was accepted")
	}
	if err := j.SaveSnapshot(ctx, "r9", want); !errors.Is(err, runbook.ErrUnknownRun) {
		t.Errorf("a snapshot of an unknown run: %v", err)
	}
}

// TestSealedSnapshot: with a key no value is in the file in the clear, and a
// value cannot be read with another key, moved to another place or altered.
func TestSealedSnapshot(t *testing.T) {
	ctx, url := context.Background(), sqliteURL(t)
	j := openWith(t, Settings{URL: url, SnapshotKey: []byte("0123456789abcdef0123456789abcdef")})
	create(t, j, pending("r1", "a"))
	if err := j.SaveSnapshot(ctx, "r1", []runbook.Saved{saved("one", "a value in the clear"), saved("two", "another value")}); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{url, url + "-wal"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("a value in the clear")) {
			t.Errorf("%s holds the value", file)
		}
	}
	for _, other := range []*Journal{open(t, url), openWith(t, Settings{URL: url, SnapshotKey: make([]byte, 32)})} {
		if _, err := other.Snapshot(ctx, "r1"); err == nil {
			t.Error("read without the key")
		}
	}
	if _, err := j.db.Exec(`UPDATE snapshots SET name = 'three' WHERE seq = 0`); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Snapshot(ctx, "r1"); err == nil {
		t.Error("a value was accepted under another name")
	}
	if _, err := j.db.Exec(`UPDATE snapshots SET name = 'one', payload = x'00' WHERE seq = 0`); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Snapshot(ctx, "r1"); err == nil {
		t.Error("an altered value was accepted")
	}
}

func TestPruneSnapshots(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx := context.Background()
		j := openWith(t, Settings{URL: url, Clock: &stepping{}, SnapshotKeep: time.Hour})
		for id, age := range map[string]time.Duration{"old": 2 * time.Hour, "new": time.Minute, "open": 2 * time.Hour} {
			run := pending(id, id)
			if id == "open" {
				run.State = runbook.StateFlush
			}
			create(t, j, run)
			s := saved("jwks:1", "v")
			s.At = start.Add(-age)
			if err := j.SaveSnapshot(ctx, id, []runbook.Saved{s}); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.pruneSnapshots(ctx); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]int{"old": 0, "new": 1, "open": 1} {
			if got, err := j.Snapshot(ctx, id); err != nil || len(got) != want {
				t.Errorf("%s: %d entries, want %d, %v", id, len(got), want, err)
			}
		}
	})
}
