package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/drill"
)

// stormEntries is how many entries go stale at a time: several batches of the
// flush, so that a kill can fall between two of them.
const stormEntries = 3000

// stormCache is one cache: a real redis-server, and the client that refills it.
type stormCache struct {
	target     string
	redis      *redis.Client
	proxy      *heldProxy
	old, fresh []byte
}

func newStormCache(t *testing.T, target string, world *drill.World) *stormCache {
	server := redistest.Start(t, redistest.Options{})
	c := &stormCache{target: target, redis: redis.NewClient(&redis.Options{Addr: server.Addr})}
	t.Cleanup(func() { c.redis.Close() })
	c.proxy = startHeldProxy(t, server.Addr)
	c.proxy.lag = 15 * time.Millisecond // a flush takes long enough to be hit
	own := redis.NewClient(&redis.Options{Addr: world.RedisAddr()})
	defer own.Close()
	c.old = []byte(own.Get(t.Context(), world.KeyName()).Val())
	c.fresh = fetch(t, world.JWKSURL())
	if len(c.old) == 0 || bytes.Equal(c.old, c.fresh) {
		t.Fatal("the drill's cache is not stale")
	}
	return c
}

// goStale puts the old keys under every name, and starts the other client: it
// writes the live keys under one name after the other, under none twice, until
// stop, which tells under which.
func (c *stormCache) goStale(ctx context.Context) (stop func() []string, err error) {
	pipe := c.redis.Pipeline()
	for i := range stormEntries {
		pipe.Set(ctx, entryName(i), c.old, time.Hour)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var written []string
	var done sync.WaitGroup
	done.Go(func() {
		for i := 0; i < stormEntries-1 && ctx.Err() == nil; i++ {
			name := entryName(i * 37 % stormEntries)
			if c.redis.Set(ctx, name, c.fresh, time.Hour).Err() == nil {
				written = append(written, name)
			}
			pause(ctx, 20*time.Millisecond)
		}
	})
	return func() []string {
		cancel()
		done.Wait()
		return written
	}, nil
}

// refills writes the live keys under a name whenever it is missing, as an
// authoriser does, until the test ends.
func (c *stormCache) refills(t *testing.T, name string) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			c.redis.SetNX(ctx, name, c.fresh, time.Hour)
			pause(ctx, 20*time.Millisecond)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

// judgeCache: everything that the other client wrote is still there, and after
// a run that is done nothing old is.
func (s *storm) judgeCache(ctx context.Context, c *stormCache, id string, written []string) error {
	run, err := s.journal.Run(ctx, id)
	if err != nil {
		return err
	}
	if len(written) == 0 {
		return fmt.Errorf("%s: the other client wrote nothing: run %s proved nothing", c.target, id)
	}
	for _, name := range written {
		value, err := c.redis.Get(ctx, name).Bytes()
		if err != nil || !bytes.Equal(value, c.fresh) {
			return fmt.Errorf("%s: run %s (%s): %s was written fresh and is lost: %w", c.target, id, run.State, name, err)
		}
	}
	if run.State != runbook.StateDone {
		return nil
	}
	for i := range stormEntries {
		if value, _ := c.redis.Get(ctx, entryName(i)).Bytes(); bytes.Equal(value, c.old) {
			return fmt.Errorf("%s: run %s is done and %s is old", c.target, id, entryName(i))
		}
	}
	return nil
}
