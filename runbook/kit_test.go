package runbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

// t0 is when every test begins.
var t0 = time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)

// manualClock stands still until somebody advances it; whoever waits on it
// moves it by what they wait for.
type manualClock struct {
	mu     sync.Mutex
	now    time.Time
	waited int
	onWait func(n int) // called before the n-th wait returns
}

// newClock shows three in the morning.
func newClock() *manualClock { return &manualClock{now: t0} }

// Now is the time that the test has set.
func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// advance moves the time on.
func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Wait moves the time on by itself.
func (c *manualClock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.waited++
	n, hook := c.waited, c.onWait
	c.mu.Unlock()
	if hook != nil {
		hook(n)
	}
	return ctx.Err()
}

// ledgerStandIn keeps the contract of the journal: a change is atomic, what it
// is given shares nothing with what is kept, and a second run never holds a
// resource that is held.
type ledgerStandIn struct {
	mu    sync.Mutex
	runs  map[string]Run
	order []string
	audit []AuditEntry
	folds []string
}

// newLedger is empty.
func newLedger() *ledgerStandIn { return &ledgerStandIn{runs: map[string]Run{}} }

func copyRun(r Run) Run {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	var out Run
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

func (l *ledgerStandIn) held(r Run) error {
	if !r.State.Holds() {
		return nil
	}
	for _, other := range l.runs {
		if other.ID != r.ID && other.Resource == r.Resource && other.State.Holds() {
			return &BusyError{Resource: r.Resource, Holder: copyRun(other)}
		}
	}
	return nil
}

// Create keeps a new run.
func (l *ledgerStandIn) Create(_ context.Context, run Run, audit ...AuditEntry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.runs[run.ID]; known {
		return fmt.Errorf("run %q exists", run.ID)
	}
	if err := l.held(run); err != nil {
		return err
	}
	l.runs[run.ID] = copyRun(run)
	l.order = append(l.order, run.ID)
	l.audit = append(l.audit, audit...)
	return nil
}

// Run reads a run.
func (l *ledgerStandIn) Run(_ context.Context, id string) (Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.runs[id]
	if !ok {
		return Run{}, fmt.Errorf("run %q: %w", id, ErrUnknownRun)
	}
	return copyRun(r), nil
}

// Runs reads what the filter selects.
func (l *ledgerStandIn) Runs(_ context.Context, f Filter) ([]Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.Limit == 0 {
		f.Limit = 100
	}
	var out []Run
	for i := len(l.order) - 1; i >= 0 && len(out) < f.Limit; i-- {
		if r := l.runs[l.order[i]]; f.selects(r) {
			out = append(out, copyRun(r))
		}
	}
	return out, nil
}

func (f Filter) selects(r Run) bool {
	state := len(f.States) == 0
	for _, s := range f.States {
		state = state || s == r.State
	}
	at := r.NextAt()
	due := f.DueBefore.IsZero() || !at.IsZero() && !at.After(f.DueBefore)
	active := f.ActiveSince.IsZero() || r.EndedAt.IsZero() || !r.EndedAt.Before(f.ActiveSince)
	return state && due && active && (f.Resource == "" || f.Resource == r.Resource) && (f.Target == "" || f.Target == r.Target) && (!f.Unshown || r.Shown < r.Version)
}

// Change changes a run and keeps what is to be audited.
func (l *ledgerStandIn) Change(_ context.Context, id string, change func(*Run) ([]AuditEntry, error)) (Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, ok := l.runs[id]
	if !ok {
		return Run{}, fmt.Errorf("run %q: %w", id, ErrUnknownRun)
	}
	after := copyRun(before)
	audit, err := change(&after)
	if err != nil {
		return copyRun(before), err
	}
	if err := l.held(after); err != nil {
		return Run{}, err
	}
	after.Version++
	l.runs[id] = copyRun(after)
	l.audit = append(l.audit, audit...)
	return after, nil
}

// Note keeps an audit row.
func (l *ledgerStandIn) Note(_ context.Context, entries ...AuditEntry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.audit = append(l.audit, entries...)
	return nil
}

// NoteFolded writes every entry, and its fold.
func (l *ledgerStandIn) NoteFolded(_ context.Context, fold string, entry AuditEntry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.audit = append(l.audit, entry)
	l.folds = append(l.folds, fold)
	return nil
}

// put writes a run as it is.
func (l *ledgerStandIn) put(r Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.runs[r.ID]; !known {
		l.order = append(l.order, r.ID)
	}
	l.runs[r.ID] = copyRun(r)
}

// trail lists the kinds of the audit rows, oldest first.
func (l *ledgerStandIn) trail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var kinds []string
	for _, a := range l.audit {
		kinds = append(kinds, a.Kind)
	}
	return strings.Join(kinds, " ")
}

// everything is all that was recorded, for tests of what must not be.
func (l *ledgerStandIn) everything() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := json.Marshal(map[string]any{"runs": l.runs, "audit": l.audit})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// snapshotsStandIn keeps snapshots and fates.
type snapshotsStandIn struct {
	mu    sync.Mutex
	saved map[string][]Saved
	fates map[string]map[string]EntryFate
}

// newSnapshots is empty.
func newSnapshots() *snapshotsStandIn {
	return &snapshotsStandIn{saved: map[string][]Saved{}, fates: map[string]map[string]EntryFate{}}
}

// SaveSnapshot replaces the copies of a run.
func (s *snapshotsStandIn) SaveSnapshot(_ context.Context, id string, saved []Saved) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved[id], s.fates[id] = append([]Saved(nil), saved...), map[string]EntryFate{}
	return nil
}

// AddSnapshot keeps a page of copies.
func (s *snapshotsStandIn) AddSnapshot(_ context.Context, id string, first int, saved []Saved) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved[id] = append(s.saved[id][:first:first], saved...)
	return nil
}

// Sums are the copies without their values.
func (s *snapshotsStandIn) Sums(ctx context.Context, id string) ([]Saved, error) {
	all, err := s.Snapshot(ctx, id)
	for i := range all {
		all[i].Sum, all[i].Payload = SumOf(all[i].Payload), nil
	}
	return all, err
}

// Snapshot reads the copies of a run.
func (s *snapshotsStandIn) Snapshot(_ context.Context, id string) ([]Saved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Saved(nil), s.saved[id]...), nil
}

// MarkFates keeps what became of entries.
func (s *snapshotsStandIn) MarkFates(_ context.Context, id string, fates []EntryFate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range fates {
		s.fates[id][f.Name] = f
	}
	return nil
}

// Fates reads what became of them.
func (s *snapshotsStandIn) Fates(_ context.Context, id string) ([]EntryFate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []EntryFate
	for _, f := range s.fates[id] {
		out = append(out, f)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// cacheStandIn is a cache on one primary that a test can change at any moment.
type cacheStandIn struct {
	loses    string // an entry whose restore is accepted and without effect
	mu       sync.Mutex
	entries  map[string]string
	others   int64
	listErr  error
	cut      bool              // the listing is truncated
	onDelete func(n int) error // before the n-th entry of a deletion is judged
	deleted  []string          // every entry that was really deleted, in order
	onGone   func(name, value string, byName bool)
	limit    int // entries that a listing reads; 0: all
	asked    int // deletions that were begun
	onList   func(*cacheStandIn)
}

// newCache holds the entries.
func newCache(entries map[string]string) *cacheStandIn {
	c := &cacheStandIn{entries: map[string]string{}}
	for k, v := range entries {
		c.entries[k] = v
	}
	return c
}

// set writes a value.
func (c *cacheStandIn) set(name, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[name] = value
}

// drop deletes an entry, as somebody else would.
func (c *cacheStandIn) drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, name)
}

// fail makes every reading fail.
func (c *cacheStandIn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listErr = err
}

// get is the value of an entry.
func (c *cacheStandIn) get(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[name]
}

func (c *cacheStandIn) raw(name string) RawEntry {
	v := c.entries[name]
	return RawEntry{Name: name, Shard: "s1", Type: "string", TTL: time.Hour, Value: []byte(v), Bytes: len(v)}
}

// List reads the entries in the order of their names.
func (c *cacheStandIn) List(_ context.Context, read func(RawEntry) Entry) (Listing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listErr != nil {
		return Listing{}, c.listErr
	}
	if c.onList != nil {
		c.onList(c)
	}
	l := Listing{Shards: []Shard{{Name: "s1", Address: "127.0.0.1:1"}}, Matched: int64(len(c.entries)), Others: c.others, Truncated: c.cut}
	for name := range c.entries {
		l.Entries = append(l.Entries, read(c.raw(name)))
	}
	sort.Slice(l.Entries, func(i, j int) bool { return l.Entries[i].Name < l.Entries[j].Name })
	if c.limit > 0 && len(l.Entries) > c.limit {
		l.Entries, l.Truncated = l.Entries[:c.limit], true
	}
	return l, nil
}

// Nodes names the one node.
func (c *cacheStandIn) Nodes(context.Context) ([]string, error) { return []string{"node-001"}, nil }

// Take hands over one entry at a time.
func (c *cacheStandIn) Take(ctx context.Context, names []string, page func([]Saved) error) error {
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
func (c *cacheStandIn) Snapshot(_ context.Context, names []string) ([]Saved, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listErr != nil {
		return nil, c.listErr
	}
	var out []Saved
	for _, name := range names {
		if v, ok := c.entries[name]; ok {
			out = append(out, Saved{RawEntry: c.raw(name), Payload: []byte(v), At: t0})
		}
	}
	return out, nil
}

func (c *cacheStandIn) fate(s Saved) EntryFate {
	f := EntryFate{Name: s.Name, Shard: "s1", Fate: FateLeft}
	switch v, ok := c.entries[s.Name]; {
	case !ok:
		f.Fate = FateGone
	case v != string(s.Payload) && SumOf([]byte(v)) != s.Sum:
		f.Fate = FateRewritten
	}
	return f
}

// Delete deletes, under the lease, what is as it was saved.
func (c *cacheStandIn) Delete(ctx context.Context, saved []Saved, lease Lease, done func([]EntryFate) error) error {
	c.mu.Lock()
	c.asked++
	hook := c.onDelete
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
		if f.Fate == FateLeft {
			c.remove(s.Name, false)
			f.Fate = FateDeleted
		}
		c.mu.Unlock()
		if err := done([]EntryFate{f}); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes an entry, and keeps that it did.
func (c *cacheStandIn) remove(name string, byName bool) {
	if c.onGone != nil {
		c.onGone(name, c.entries[name], byName)
	}
	delete(c.entries, name)
	c.deleted = append(c.deleted, name)
}

// Compare tells the fates.
func (c *cacheStandIn) Compare(_ context.Context, saved []Saved) ([]EntryFate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]EntryFate, len(saved))
	for i, s := range saved {
		out[i] = c.fate(s)
	}
	return out, nil
}

// Purge deletes by name, under the lease.
func (c *cacheStandIn) Purge(ctx context.Context, lease Lease, meant func(string) bool, progress func(int64)) (int64, error) {
	if lease != nil {
		if err := lease.Hold(ctx); err != nil {
			return 0, err
		}
	}
	c.mu.Lock()
	c.asked++
	hook := c.onDelete
	var n int64
	for name := range c.entries {
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
func (c *cacheStandIn) FlushAll(ctx context.Context) error {
	_, err := c.Purge(ctx, nil, nil, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others = 0
	return err
}

// Restore writes back.
func (c *cacheStandIn) Restore(_ context.Context, saved []Saved, force bool, now time.Time) ([]EntryFate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]EntryFate, len(saved))
	for i, s := range saved {
		_, there := c.entries[s.Name]
		switch expired := s.TTL != NoExpiry && now.Sub(s.At) >= s.TTL; {
		case expired:
			out[i] = EntryFate{Name: s.Name, Shard: "s1", Fate: FateGone}
		case there && !force:
			out[i] = c.fate(s)
		default:
			if s.Name != c.loses {
				c.entries[s.Name] = string(s.Payload)
			}
			out[i] = EntryFate{Name: s.Name, Shard: "s1", Fate: FateLeft}
		}
	}
	return out, nil
}

// key is a usable RSA key; equal material has an equal thumbprint.
func key(kid, material string) Key {
	return Key{Kid: kid, Thumbprint: "tp-" + material, Kty: "RSA", Alg: "RS256", Use: "sig", Usable: true, Problems: []string{},
		Numbers: map[string]string{"n": material, "e": "AQAB"}, Metadata: map[string]string{"use": `"sig"`, "alg": `"RS256"`}}
}

// set makes a key set of "kid=material" words.
func set(words ...string) KeySet {
	s := KeySet{Shape: ShapeSet, Keys: []Key{}, Problems: []string{}}
	for _, w := range words {
		kid, material, _ := strings.Cut(w, "=")
		s.Keys = append(s.Keys, key(kid, material))
	}
	s.Usable = len(s.Keys)
	return s
}

// decode reads the values that tests put into the cache: "keys a=1 b=2" is a
// key set, "jwk a=1" one key, "no a" a negative marker, "<…" a web page.
func decode(e RawEntry, _ *Budget) Reading {
	words := strings.Fields(string(e.Value))
	empty := KeySet{Shape: ShapeUnreadable, Keys: []Key{}, Problems: []string{}}
	switch {
	case len(words) == 0 || len(words) == 1 && words[0] == "keys":
		return Reading{Format: "test set", Content: ContentEmpty, Set: empty, Note: "an empty key set"}
	case words[0] == "keys":
		return Reading{Format: "test set", Content: ContentKeys, Set: set(words[1:]...)}
	case words[0] == "jwk":
		s := set(words[1])
		s.Shape = ShapeJWK
		return Reading{Format: "test key", Content: ContentKeys, Set: s, Kid: s.Keys[0].Kid}
	case words[0] == "no":
		return Reading{Format: "test marker", Content: ContentNegative, Set: empty, Kid: words[1]}
	case strings.HasPrefix(words[0], "<"):
		return Reading{Format: "text", Content: ContentPoison, Set: empty, Note: "an HTML page"}
	}
	return Reading{Format: "unknown", Content: ContentUnknown, Set: empty, Note: fmt.Sprintf("%d strange bytes", len(e.Value))}
}

// liveStandIn answers with what the test says is published.
type liveStandIn struct {
	mu     sync.Mutex
	answer func(n int) Probe
	n      int
}

// Probe answers as the test says.
func (l *liveStandIn) Probe(context.Context) Probe {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	return l.answer(l.n)
}

// become makes it answer otherwise.
func (l *liveStandIn) become(answer func(n int) Probe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

// good serves the keys.
func good(words ...string) Probe {
	return Probe{Status: 200, ContentType: "application/json", Set: set(words...)}
}

// bad has a problem.
func bad(problem string) Probe { return Probe{Status: 503, Problem: problem} }

// unreachable did not answer.
func unreachable(problem string) Probe { return Probe{Unreachable: true, Problem: problem} }

// always answers the same.
func always(p Probe) func(int) Probe { return func(int) Probe { return p } }

// directoryStandIn is a workspace with people and user groups.
type directoryStandIn struct {
	mu     sync.Mutex
	kinds  map[string]Kind
	groups map[string][]string
	fresh  int // answers that had to be fresh
	err    error
}

// Person answers from the test's lists.
func (d *directoryStandIn) Person(_ context.Context, id string) (Person, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kind, ok := d.kinds[id]
	if !ok {
		kind = KindUnknown
	}
	return Person{PersonRef: PersonRef{ID: id, Name: strings.ToLower(id)}, Kind: kind}, d.err
}

// Members answers from the test's lists.
func (d *directoryStandIn) Members(_ context.Context, group string, fresh bool) (Group, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fresh {
		d.fresh++
	}
	if d.err != nil {
		return Group{}, d.err
	}
	return Group{Members: d.groups[group]}, nil
}

// make gives people another kind.
func (d *directoryStandIn) make(kind Kind, ids ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		d.kinds[id] = kind
	}
}

// office is the whole domain around a stale cache: a=1 is cached, b=2 is live.
type office struct {
	clock   *manualClock
	ledger  *ledgerStandIn
	snaps   *snapshotsStandIn
	cache   *cacheStandIn
	live    *liveStandIn
	people  *directoryStandIn
	target  *Target
	runner  *Runner
	desk    *Desk
	machine *Machine
	changed []string

	deskSettings    DeskSettings
	machineSettings MachineSettings
}

// build makes the desk and the machine of the settings.
func (o *office) build(t *testing.T) {
	t.Helper()
	var err error
	if o.desk, err = NewDesk(o.deskSettings); err != nil {
		t.Fatal(err)
	}
	o.machine = NewMachine(o.machineSettings)
}

// guarded makes the machine ask guard before every effect.
func (o *office) guarded(t *testing.T, guard func(context.Context) error) {
	t.Helper()
	o.machineSettings.Guard = guard
	o.build(t)
}

// resource is what a flush of the world's target holds to itself.
const resource = "replication group prod-cache"

// newOffice is the world at three in the morning.
func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{clock: newClock(), ledger: newLedger(), snaps: newSnapshots(),
		cache: newCache(map[string]string{"jwks:current": "keys a=1"}),
		live:  &liveStandIn{answer: always(good("b=2"))},
		people: &directoryStandIn{groups: map[string][]string{"S0ONCALL": {"U0ANN", "U0BEN"}, "S0LEADS": {"U0LEA", "U0LIZ"}},
			kinds: map[string]Kind{}},
	}
	o.people.make(KindMember, "U0ANN", "U0BEN", "U0LEA", "U0LIZ", "U0EVE")
	o.target = &Target{Name: "production", Issuer: "https://idp.example/pool", JWKSURL: "https://idp.example/pool/.well-known/jwks.json",
		Channel: "C0INC", Resource: resource, Live: o.live, Entries: o.cache, Decode: decode,
		Policy: Policy{Requesters: []string{"S0ONCALL", "U0LEA"}, Approvers: []string{"S0LEADS", "U0ANN"}, Required: 1,
			Expires: DefaultExpiry, Cooldown: DefaultCooldown}}
	o.runner = NewRunner(o.clock, nil)
	o.deskSettings = DeskSettings{Targets: []*Target{o.target}, Runner: o.runner, Ledger: o.ledger, Snapshots: o.snaps, People: o.people, Clock: o.clock}
	o.machineSettings = MachineSettings{Targets: []*Target{o.target}, Ledger: o.ledger, Snapshots: o.snaps, People: o.people, Clock: o.clock,
		Changed: func(target string) { o.changed = append(o.changed, target); o.runner.Forget(target) }}
	o.build(t)
	return o
}

// request asks for a flush of the target.
func request(by string) Request {
	return Request{Target: "production", Ticket: "INC-2026-0214-001", Reason: "keys rotated at 02:40", By: by, Via: ViaSlack}
}

// ask opens a request and returns the pending run.
func (o *office) ask(t *testing.T, req Request) Run {
	t.Helper()
	run, _, err := o.desk.Open(t.Context(), req, Silent{})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return run
}

// click decides on the plan as it is now.
func (o *office) click(t *testing.T, run Run, by string, kind DecisionKind) (Answer, error) {
	t.Helper()
	now, err := o.ledger.Run(t.Context(), run.ID)
	if err != nil {
		now.Generation = 1 // of a run that nobody knows
	}
	return o.desk.Decide(t.Context(), Click{Run: run.ID, Generation: now.Generation, By: by, Kind: kind, Via: ViaSlack})
}

// approve asks and approves; the run holds its resource then.
func (o *office) approve(t *testing.T, req Request) Run {
	t.Helper()
	a, err := o.click(t, o.ask(t, req), "U0LIZ", DecideApprove)
	if err != nil {
		t.Fatalf("approve: %v", err)
	}
	return a.Run
}

// run reads a run.
func (o *office) run(t *testing.T, id string) Run {
	t.Helper()
	r, err := o.ledger.Run(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// refused checks the code of a refusal, and that its text says every word.
func refused(t *testing.T, err error, code string, words ...string) *Refusal {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got error %v, want a refusal %q", err, code)
	}
	if r.Code != code {
		t.Fatalf("refused with %q (%s), want %q", r.Code, r.Text, code)
	}
	for _, w := range words {
		if !strings.Contains(r.Text, w) {
			t.Errorf("refusal %q does not say %q", r.Text, w)
		}
	}
	return r
}
