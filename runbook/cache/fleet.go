package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"jwksbot/runbook"
)

// slotRange says which primary serves a range of hash slots.
type slotRange struct {
	start, end int
	primary    *primary
}

// fleet is the set of primaries, and the slots they serve (none when there is
// one primary for everything). It is closed when it was dropped and its last
// user has released it.
type fleet struct {
	topology  Topology
	cluster   bool
	primaries []*primary
	slots     []slotRange // sorted by start

	open func(addr string) *primary // any server of the same cluster

	mu      sync.Mutex
	users   int
	dropped bool
	extra   map[string]*primary // servers that only a redirection named
}

// acquire returns the present fleet, discovering it when there is none; fresh
// says that it was. The caller releases it.
func (s *Store) acquire(ctx context.Context) (f *fleet, fresh bool, err error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, false, errors.New("cache: closed")
		}
		k := s.fleet
		if k.value != nil && time.Now().Before(k.until) {
			k.value.retain()
			s.mu.Unlock()
			return k.value, fresh, nil
		}
		s.mu.Unlock()
		if _, err := share(ctx, s, "its servers", s.discover); err != nil {
			return nil, true, err
		}
		fresh = true
	}
}

// discover builds a fleet and makes it the present one.
func (s *Store) discover(ctx context.Context) (*fleet, error) {
	t, err := s.Topology(ctx)
	if err != nil {
		return nil, err
	}
	f, err := s.connect(ctx, t)
	if err != nil {
		s.drop(nil)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		f.drop()
		return nil, errors.New("cache: closed")
	}
	if old := s.fleet.value; old != nil {
		old.drop()
	}
	s.fleet = kept[*fleet]{f, time.Now().Add(topologyFor)}
	return f, nil
}

// connect makes the fleet of a topology; only a cluster has to be asked for
// its shards.
func (s *Store) connect(ctx context.Context, t Topology) (*fleet, error) {
	f := &fleet{topology: t, open: func(addr string) *primary { return s.open(addr, t.Endpoints[0], t) }}
	single := len(t.Endpoints) == 1
	if !t.Cluster && s.url == nil {
		p := s.open(t.Endpoints[0], t.Endpoints[0], t)
		if id := t.groups[""]; id != "" {
			p.name = id
		}
		f.primaries = []*primary{p}
		return f, nil
	}
	var problems []error
	for _, addr := range t.Endpoints {
		seed := s.open(addr, addr, t)
		slots, clustered, err := askSlots(ctx, seed)
		switch {
		case runbook.IsDenied(err):
			seed.client.Close()
			return nil, err
		case err != nil:
			seed.client.Close()
			problems = append(problems, err)
			continue
		case !clustered && single:
			f.primaries = []*primary{seed}
			return f, nil
		case !clustered:
			seed.client.Close()
			problems = append(problems, fmt.Errorf("redis %q: is no cluster, but the URL names several hosts: name one", addr))
			continue
		}
		if err := f.fill(s, seed, slots); err != nil {
			seed.client.Close()
			f.drop()
			return nil, err
		}
		return f, nil
	}
	return nil, errors.Join(problems...)
}

// askSlots asks a server for the shards of its cluster; clustered is false
// when it is a standalone server.
func askSlots(ctx context.Context, seed *primary) (slots []redis.ClusterSlot, clustered bool, err error) {
	pipe := seed.client.Pipeline()
	asked := pipe.ClusterSlots(ctx)
	// HELLO is open to every user and names the mode, also when the user may
	// not ask for the slots.
	hello := askHello(ctx, pipe)
	exec(ctx, pipe)
	slots, err = asked.Result()
	if err == nil {
		if len(slots) == 0 {
			return nil, true, fmt.Errorf("redis %q: its cluster has no slots assigned", seed.addr)
		}
		return slots, true, nil
	}
	var reply redis.Error
	if errors.As(err, &reply) && helloSays(hello, "mode") != "cluster" && !redis.IsAuthError(err) && !redis.IsLoadingError(err) {
		if err := seed.watchRole(hello); runbook.IsDenied(err) {
			return nil, false, err
		}
		return nil, false, nil
	}
	return nil, false, seed.explain("CLUSTER SLOTS", err)
}

// fill makes the primaries from CLUSTER SLOTS, whose first node per range is
// the primary. The seed's connection is used for its own shard.
func (f *fleet) fill(s *Store, seed *primary, slots []redis.ClusterSlot) error {
	f.cluster = true
	known := map[string]*primary{}
	for _, r := range slots {
		if len(r.Nodes) == 0 {
			continue
		}
		addr := nodeAddr(r.Nodes[0], seed.addr, f.topology.TLS)
		p := known[addr]
		if p == nil {
			if err := s.refusePlain(addr, f.topology.TLS); err != nil {
				return err
			}
			if p = seed; addr != seed.addr {
				p = s.open(addr, seed.addr, f.topology)
			}
			known[addr] = p
			f.primaries = append(f.primaries, p)
		}
		if id := f.topology.groups[strconv.Itoa(r.Start)+"-"+strconv.Itoa(r.End)]; id != "" {
			p.name = id
		}
		f.slots = append(f.slots, slotRange{r.Start, r.End, p})
	}
	if known[seed.addr] == nil {
		seed.client.Close()
	}
	sort.Slice(f.slots, func(i, j int) bool { return f.slots[i].start < f.slots[j].start })
	return nil
}

// nodeAddr prefers a node's host name where there is a certificate to verify,
// and takes the seed's host when the node does not know its own.
func nodeAddr(n redis.ClusterNode, seed string, withTLS bool) string {
	host, port, err := net.SplitHostPort(n.Addr)
	if err != nil {
		return n.Addr
	}
	if name := n.NetworkingMetadata["hostname"]; withTLS && name != "" {
		host = name
	}
	if host == "" || host == "?" {
		host, _, _ = net.SplitHostPort(seed)
	}
	return net.JoinHostPort(host, port)
}

// of returns the primary that serves a key.
func (f *fleet) of(key string) (*primary, error) {
	if len(f.slots) == 0 {
		return f.primaries[0], nil
	}
	slot := slotOf(key)
	i := sort.Search(len(f.slots), func(i int) bool { return f.slots[i].end >= slot })
	if i == len(f.slots) || f.slots[i].start > slot {
		return nil, fmt.Errorf("cache %q: no primary serves slot %d: the cluster is incomplete, look at its health first", f.topology.Name, slot)
	}
	return f.slots[i].primary, nil
}

// leased is the same fleet for deletions under the lease, with connections of
// its own. Close it with closeAll.
func (f *fleet) leased(lease runbook.Lease) *fleet {
	of := map[*primary]*primary{}
	l := &fleet{topology: f.topology, cluster: f.cluster, open: func(addr string) *primary {
		plain := f.open(addr)
		defer plain.client.Close() // never used, so never connected
		return plain.leased(lease)
	}}
	for _, p := range f.primaries {
		of[p] = p.leased(lease)
		l.primaries = append(l.primaries, of[p])
	}
	for _, r := range f.slots {
		l.slots = append(l.slots, slotRange{r.start, r.end, of[r.primary]})
	}
	return l
}

// each runs fn on every primary at once; the first error ends the others.
func (f *fleet) each(ctx context.Context, fn func(ctx context.Context, i int, p *primary) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range f.primaries {
		g.Go(func() error { return fn(ctx, i, p) })
	}
	return g.Wait()
}

// effect runs fn, which changes something, on every primary at once. Another
// error ends the rest; a refusal does not, so that it is known what the others
// did.
func (f *fleet) effect(ctx context.Context, fn func(ctx context.Context, i int, p *primary) error) error {
	denied := make([]error, len(f.primaries))
	if err := f.each(ctx, func(ctx context.Context, i int, p *primary) error {
		err := fn(ctx, i, p)
		if runbook.IsDenied(err) {
			denied[i], err = err, nil
		}
		return err
	}); err != nil {
		return err
	}
	return cmp.Or(denied...)
}

// partly takes the promise that nothing was changed off an error, where something
// was.
func partly(err error, changed bool) error {
	var d *runbook.Denied
	if changed && errors.As(err, &d) {
		return fmt.Errorf("refused on a part of what was to be deleted: %w", d.Err)
	}
	return err
}

// at returns the server with the address that a redirection named.
func (f *fleet) at(addr string) *primary {
	for _, p := range f.primaries {
		if p.addr == addr {
			return p
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.extra[addr] == nil {
		if f.extra == nil {
			f.extra = map[string]*primary{}
		}
		f.extra[addr] = f.open(addr)
	}
	return f.extra[addr]
}

func (f *fleet) retain() {
	f.mu.Lock()
	f.users++
	f.mu.Unlock()
}

func (f *fleet) release() {
	f.mu.Lock()
	f.users--
	last := f.dropped && f.users == 0
	f.mu.Unlock()
	if last {
		f.closeAll()
	}
}

// drop closes the fleet as soon as nobody uses it.
func (f *fleet) drop() {
	f.mu.Lock()
	idle := !f.dropped && f.users == 0
	f.dropped = true
	f.mu.Unlock()
	if idle {
		f.closeAll()
	}
}

func (f *fleet) closeAll() {
	for _, p := range f.primaries {
		p.client.Close()
	}
	for _, p := range f.extra {
		p.client.Close()
	}
}

// drop forgets what was discovered, provided that f is still the present
// fleet (nil: whichever it is).
func (s *Store) drop(f *fleet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == nil || s.fleet.value == f {
		s.dropLocked()
	}
}

func (s *Store) dropLocked() {
	if f := s.fleet.value; f != nil {
		f.drop()
	}
	s.fleet, s.topology = kept[*fleet]{}, kept[Topology]{}
}

// settleWaits are the pauses before the tries that follow a redirection. The
// servers of a cluster learn of a new primary one after the other, within some
// seconds; until then the one that is asked for the slots may still name the
// old primary.
var settleWaits = []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond, 1500 * time.Millisecond}

// with runs fn on the fleet. When a server turns out to have another role than
// was discovered, it discovers again and repeats fn until the servers agree;
// when a fleet that was kept cannot be reached, it does so once. fn has to be
// safe to repeat.
func (s *Store) with(ctx context.Context, fn func(ctx context.Context, f *fleet) error) error {
	for tries := 0; ; tries++ {
		f, fresh, err := s.acquire(ctx)
		if err != nil {
			return err
		}
		err = fn(ctx, f)
		f.release()
		moved, unreachable := isMoved(err), isUnreachable(err)
		if moved || unreachable {
			s.drop(f)
		}
		again := moved && tries < len(settleWaits) || unreachable && !fresh && tries == 0
		if !again || (runbook.SystemClock{}).Wait(ctx, settleWaits[tries]) != nil {
			return err
		}
	}
}
