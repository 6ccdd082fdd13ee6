package standin

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"jwksbot/runbook"
)

// Cache is a cache on one primary that a test can change at any moment.
type Cache struct {
	Loses    string // an entry whose restore is accepted and without effect
	mu       sync.Mutex
	Entries  map[string]string
	Others   int64
	ListErr  error
	Cut      bool              // the listing is truncated
	OnDelete func(n int) error // before the n-th entry of a deletion is judged
	Deleted  []string          // every entry that was really deleted, in order
	OnGone   func(name, value string, byName bool)
	Limit    int // entries that a listing reads; 0: all
	Asked    int // deletions that were begun
	OnList   func(*Cache)
}

// NewCache holds the entries.
func NewCache(entries map[string]string) *Cache {
	c := &Cache{Entries: map[string]string{}}
	for k, v := range entries {
		c.Entries[k] = v
	}
	return c
}

// Set writes a value.
func (c *Cache) Set(name, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Entries[name] = value
}

// Fill writes one value under n names, "prefix:0" and so on.
func (c *Cache) Fill(prefix, value string, n int) {
	for i := range n {
		c.Set(fmt.Sprintf("%s:%d", prefix, i), value)
	}
}

// Holding counts the entries that hold a value.
func (c *Cache) Holding(value string) (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.Entries {
		if v == value {
			n++
		}
	}
	return n
}

// Drop deletes an entry, as somebody else would.
func (c *Cache) Drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.Entries, name)
}

// Fail makes every reading fail.
func (c *Cache) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ListErr = err
}

// Get is the value of an entry.
func (c *Cache) Get(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Entries[name]
}

func (c *Cache) raw(name string) runbook.RawEntry {
	v := c.Entries[name]
	return runbook.RawEntry{Name: name, Shard: "s1", Type: "string", TTL: time.Hour, Value: []byte(v), Bytes: len(v)}
}

// List reads the entries in the order of their names.
func (c *Cache) List(_ context.Context, read func(runbook.RawEntry) runbook.Entry) (runbook.Listing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ListErr != nil {
		return runbook.Listing{}, c.ListErr
	}
	if c.OnList != nil {
		c.OnList(c)
	}
	l := runbook.Listing{Shards: []runbook.Shard{{Name: "s1", Address: "127.0.0.1:1"}}, Matched: int64(len(c.Entries)), Others: c.Others, Truncated: c.Cut}
	for name := range c.Entries {
		l.Entries = append(l.Entries, read(c.raw(name)))
	}
	sort.Slice(l.Entries, func(i, j int) bool { return l.Entries[i].Name < l.Entries[j].Name })
	if c.Limit > 0 && len(l.Entries) > c.Limit {
		l.Entries, l.Truncated = l.Entries[:c.Limit], true
	}
	return l, nil
}

// Nodes names the one node.
func (c *Cache) Nodes(context.Context) ([]string, error) { return []string{"node-001"}, nil }

// Take hands over one entry at a time.
func (c *Cache) Take(ctx context.Context, names []string, page func([]runbook.Saved) error) error {
	for _, name := range names {
		saved, err := c.Snapshot(ctx, []string{name})
		if err != nil {
			return err
		}
		if len(saved) > 0 {
			if err := page(saved); err != nil {
				return err
			}
		}
	}
	return nil
}

// Snapshot copies the named entries.
func (c *Cache) Snapshot(_ context.Context, names []string) ([]runbook.Saved, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ListErr != nil {
		return nil, c.ListErr
	}
	var out []runbook.Saved
	for _, name := range names {
		if v, ok := c.Entries[name]; ok {
			out = append(out, runbook.Saved{RawEntry: c.raw(name), Payload: []byte(v), At: T0})
		}
	}
	return out, nil
}

func (c *Cache) fate(s runbook.Saved) runbook.EntryFate {
	f := runbook.EntryFate{Name: s.Name, Shard: "s1", Fate: runbook.FateLeft}
	switch v, ok := c.Entries[s.Name]; {
	case !ok:
		f.Fate = runbook.FateGone
	case v != string(s.Payload) && runbook.SumOf([]byte(v)) != s.Sum:
		f.Fate = runbook.FateRewritten
	}
	return f
}

// Delete deletes, under the lease, what is as it was saved.
func (c *Cache) Delete(ctx context.Context, saved []runbook.Saved, lease runbook.Lease, done func([]runbook.EntryFate) error) error {
	c.mu.Lock()
	c.Asked++
	hook := c.OnDelete
	c.mu.Unlock()
	for i, s := range saved {
		if hook != nil {
			if err := hook(i + 1); err != nil {
				return err
			}
		}
		if err := lease.Hold(ctx); err != nil {
			return err
		}
		c.mu.Lock()
		f := c.fate(s)
		if f.Fate == runbook.FateLeft {
			c.remove(s.Name, false)
			f.Fate = runbook.FateDeleted
		}
		c.mu.Unlock()
		if err := done([]runbook.EntryFate{f}); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes an entry, and keeps that it did.
func (c *Cache) remove(name string, byName bool) {
	if c.OnGone != nil {
		c.OnGone(name, c.Entries[name], byName)
	}
	delete(c.Entries, name)
	c.Deleted = append(c.Deleted, name)
}

// Compare tells the fates.
func (c *Cache) Compare(_ context.Context, saved []runbook.Saved) ([]runbook.EntryFate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]runbook.EntryFate, len(saved))
	for i, s := range saved {
		out[i] = c.fate(s)
	}
	return out, nil
}

// Purge deletes by name, under the lease.
func (c *Cache) Purge(ctx context.Context, lease runbook.Lease, meant func(string) bool, progress func(int64)) (int64, error) {
	if lease != nil {
		if err := lease.Hold(ctx); err != nil {
			return 0, err
		}
	}
	c.mu.Lock()
	c.Asked++
	hook := c.OnDelete
	var n int64
	for name := range c.Entries {
		if meant != nil && !meant(name) {
			continue
		}
		c.remove(name, true)
		n++
	}
	c.mu.Unlock()
	if progress != nil {
		progress(n)
	}
	if hook != nil {
		return n, hook(int(n))
	}
	return n, nil
}

// FlushAll deletes everything.
func (c *Cache) FlushAll(ctx context.Context) error {
	_, err := c.Purge(ctx, nil, nil, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Others = 0
	return err
}

// Restore writes back.
func (c *Cache) Restore(_ context.Context, saved []runbook.Saved, force bool, now time.Time) ([]runbook.EntryFate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]runbook.EntryFate, len(saved))
	for i, s := range saved {
		_, there := c.Entries[s.Name]
		switch expired := s.TTL != runbook.NoExpiry && now.Sub(s.At) >= s.TTL; {
		case expired:
			out[i] = runbook.EntryFate{Name: s.Name, Shard: "s1", Fate: runbook.FateGone}
		case there && !force:
			out[i] = c.fate(s)
		default:
			if s.Name != c.Loses {
				c.Entries[s.Name] = string(s.Payload)
			}
			out[i] = runbook.EntryFate{Name: s.Name, Shard: "s1", Fate: runbook.FateLeft}
		}
	}
	return out, nil
}
