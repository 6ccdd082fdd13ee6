package bottest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/drill"
)

// Entries is how many entries go stale at a time: several batches of the
// flush, so that a kill can fall between two of them.
const Entries = 3000

// Cache is one cache: a real redis-server, and the client that refills it.
type Cache struct {
	Name       string
	Redis      *redis.Client
	Proxy      *Proxy
	Old, Fresh []byte
}

// NewCache starts a Redis beside a drill whose own cache is stale; Name is that
// of the target which has it.
func NewCache(t *testing.T, name string, world *drill.World) *Cache {
	server := redistest.Start(t, redistest.Options{})
	c := &Cache{Name: name, Redis: redis.NewClient(&redis.Options{Addr: server.Addr})}
	t.Cleanup(func() { c.Redis.Close() })
	c.Proxy = StartProxy(t, server.Addr)
	c.Proxy.Lag = 15 * time.Millisecond // a flush takes long enough to be hit
	own := redis.NewClient(&redis.Options{Addr: world.RedisAddr()})
	defer own.Close()
	c.Old = []byte(own.Get(t.Context(), world.KeyName()).Val())
	c.Fresh = Fetch(t, world.JWKSURL())
	if len(c.Old) == 0 || bytes.Equal(c.Old, c.Fresh) {
		t.Fatal("the drill's cache is not stale")
	}
	return c
}

// GoStale puts the old keys under every name, and starts the other client: it
// writes the live keys under one name after the other, under none twice, until
// stop, which tells under which.
func (c *Cache) GoStale(ctx context.Context) (stop func() []string, err error) {
	pipe := c.Redis.Pipeline()
	for i := range Entries {
		pipe.Set(ctx, EntryName(i), c.Old, time.Hour)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var written []string
	var done sync.WaitGroup
	done.Go(func() {
		for i := 0; i < Entries-1 && ctx.Err() == nil; i++ {
			name := EntryName(i * 37 % Entries)
			if c.Redis.Set(ctx, name, c.Fresh, time.Hour).Err() == nil {
				written = append(written, name)
			}
			Pause(ctx, 20*time.Millisecond)
		}
	})
	return func() []string {
		cancel()
		done.Wait()
		return written
	}, nil
}

// Refills writes the live keys under a name whenever it is missing, as an
// authoriser does, until the test ends.
func (c *Cache) Refills(t *testing.T, name string) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			c.Redis.SetNX(ctx, name, c.Fresh, time.Hour)
			Pause(ctx, 20*time.Millisecond)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

// EntryName is the name of one of its entries.
func EntryName(i int) string { return fmt.Sprintf("jwks:tenant:%d", i) }
