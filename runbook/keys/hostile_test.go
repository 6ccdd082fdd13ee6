package keys

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
	"jwksbot/runbook/keys/hostiletest"
)

// cost is what the reading of an entry took.
type cost struct {
	Alloc int64         `json:"alloc"` // bytes, garbage included
	CPU   time.Duration `json:"cpu"`   // of the process
	Size  int           `json:"size"`  // bytes of the entry
}

// allocated is how many bytes were allocated since the process began, without
// stopping it.
func allocated() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

func processorTime(t testing.TB) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// within reads an entry as a check does and holds what that took against its
// budget: garbage and the allocator's rounding included, twice the memory that
// the budget allows; and a second more than its time.
func within(t testing.TB, e runbook.RawEntry) (runbook.Reading, cost) {
	t.Helper()
	limits := budget.EntryLimits(e.Size())
	budget := budget.New(context.Background(), limits)
	before, cpu := allocated(), processorTime(t)
	got := Decode(e, budget)
	c := cost{allocated() - before, processorTime(t) - cpu, e.Size()}
	if c.Alloc > 2*limits.Bytes {
		t.Errorf("%s: %d bytes took %d bytes of memory, the budget is %d", e.Name, c.Size, c.Alloc, limits.Bytes)
	}
	if c.CPU > limits.Time+time.Second {
		t.Errorf("%s: %d bytes took %s of processor time", e.Name, c.Size, c.CPU)
	}
	if budget.Spent() != strings.HasPrefix(got.Unread, "not decoded: took ") {
		t.Errorf("%s: budget %q, reading %q", e.Name, budget.Why(), got.Note)
	}
	return got, c
}

// readWithin is within for a document that is read by itself.
func readWithin(t testing.TB, b []byte) (runbook.KeySet, cost) {
	t.Helper()
	before, cpu := allocated(), processorTime(t)
	got := Read(b)
	c := cost{allocated() - before, processorTime(t) - cpu, len(b)}
	if most := 2 * fileLimits(len(b)).Bytes; c.Alloc > most {
		t.Errorf("%d bytes took %d bytes of memory, at most %d are in order", c.Size, c.Alloc, most)
	}
	return got, c
}

// No hostile entry takes more than its share, at the size of the ones that were
// seen and at those of whole values.
func TestHostileEntriesStayWithinTheirBudget(t *testing.T) {
	for _, size := range []int{214, 414, 2 << 10, 64 << 10, 1 << 20} {
		var most cost
		for _, e := range hostiletest.Crafted(uint64(size), len(hostiletest.Names()), size) {
			got, c := within(t, e)
			checkSet(t, got.Set)
			most = cost{max(most.Alloc, c.Alloc), max(most.CPU, c.CPU), size}
		}
		for _, e := range hostiletest.Random(uint64(size), 50, size) {
			_, c := within(t, e)
			most = cost{max(most.Alloc, c.Alloc), max(most.CPU, c.CPU), size}
		}
		t.Logf("%d bytes: at most %.1f MiB and %s", size, float64(most.Alloc)/(1<<20), most.CPU)
	}
}

// The entries that ended the process and held an approver's click read as not
// decoded, or as what they are.
func TestKnownAttackers(t *testing.T) {
	for _, e := range hostiletest.Crafted(1, len(hostiletest.Names()), 414) {
		got, _ := within(t, e)
		if strings.Contains(e.Name, "Fibonacci") && !strings.HasPrefix(got.Note, "not decoded: took more than") {
			t.Errorf("%s: %q", e.Name, got.Note)
		}
	}
	e := hostiletest.Crafted(1, len(hostiletest.Names()), 2<<10)
	for _, e := range e {
		if got, c := within(t, e); strings.Contains(e.Name, "bignum") && (got.Unread != "" || c.Alloc > 1<<20) {
			t.Errorf("%s: %d bytes of memory, %q", e.Name, c.Alloc, got.Note)
		}
	}
}

// A budget that ends before it began reads nothing and says so.
func TestABudgetEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := stringEntry(set(good("a")))
	e.Value = append(e.Value, strings.Repeat(" ", 1<<20)...)
	got := Decode(e, budget.New(ctx, budget.EntryLimits(e.Size())))
	if got.Content != runbook.ContentUnknown || got.Unread != "not decoded: took longer than the check may take" {
		t.Errorf("%+v", got)
	}
}

// peak keeps the costliest input of a fuzz target in a file of the directory
// that JWKSBOT_FUZZ_PEAKS names, since fuzzing prints none.
func peak(t testing.TB, target string, c cost) {
	dir := os.Getenv("JWKSBOT_FUZZ_PEAKS")
	if dir == "" {
		return
	}
	file, most := filepath.Join(dir, target+".json"), cost{}
	if b, err := os.ReadFile(file); err == nil && json.Unmarshal(b, &most) != nil {
		t.Fatalf("%s: not a peak", file)
	}
	if c.Alloc <= most.Alloc && c.CPU <= most.CPU {
		return
	}
	b, err := json.Marshal(cost{max(c.Alloc, most.Alloc), max(c.CPU, most.CPU), max(c.Size, most.Size)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// fuzzFamily fuzzes one decoder: seeds of the families whose name begins so,
// and of the wrappings that hold a good set; whatever is made of them begins as
// the decoder expects it, and stays within its budget.
func fuzzFamily(f *testing.F, family, begin, end string) {
	for _, size := range []int{64, 414, 4 << 10} {
		for _, e := range hostiletest.Crafted(uint64(size), 2*len(hostiletest.Names()), size) {
			if strings.Contains(e.Name, " "+family+":") && e.Type == "string" && len(e.Value) >= len(begin)+len(end) {
				f.Add(e.Value[len(begin) : len(e.Value)-len(end)])
			}
		}
	}
	for _, w := range wrappings() {
		if e := w.wrap(set(good("a"), ecKey("b"))); strings.HasPrefix(string(e.Value), begin) && strings.HasSuffix(string(e.Value), end) {
			f.Add(e.Value[len(begin) : len(e.Value)-len(end)])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e := stringEntry(begin + string(b) + end)
		got, c := within(t, e)
		checkSet(t, got.Set)
		peak(t, f.Name(), c)
	})
}

func FuzzPickle(f *testing.F)  { fuzzFamily(f, "pickle", "\x80\x04", ".") }
func FuzzRuby(f *testing.F)    { fuzzFamily(f, "ruby", "\x04\x08", "") }
func FuzzRails(f *testing.F)   { fuzzFamily(f, "rails", "\x00\x11", "") }
func FuzzJava(f *testing.F)    { fuzzFamily(f, "java", "\xac\xed\x00\x05", "") }
func FuzzPHP(f *testing.F)     { fuzzFamily(f, "php", "a:1", "") }
func FuzzGzip(f *testing.F)    { fuzzFamily(f, "gzip", "\x1f\x8b", "") }
func FuzzZlib(f *testing.F)    { fuzzFamily(f, "zlib", "\x78\x9c", "") }
func FuzzZstd(f *testing.F)    { fuzzFamily(f, "zstd", "\x28\xb5\x2f\xfd", "") }
func FuzzJSON(f *testing.F)    { fuzzFamily(f, "json", "{", "") }
func FuzzPEM(f *testing.F)     { fuzzFamily(f, "pem", "-----BEGIN ", "") }
func FuzzKeyList(f *testing.F) { fuzzFamily(f, "json", `{"keys":[`, "]}") }

// FuzzCollection splits the bytes into the parts of a collection.
func FuzzCollection(f *testing.F) {
	for i, kind := range []string{"hash", "set", "zset", "list"} {
		for _, e := range hostiletest.Crafted(uint64(i), len(hostiletest.Names()), 414) {
			f.Add(kind, e.Value, byte('0'+i))
		}
		f.Add(kind, []byte("kty0RSA0n0AQAB0data0absexp0"+set(good("a"))), byte('0'))
	}
	f.Fuzz(func(t *testing.T, kind string, b []byte, separator byte) {
		e := runbook.RawEntry{Name: "jwks", Type: kind}
		if kind == "string" || kind == "" {
			e.Type = "hash"
		}
		fields := strings.Split(string(b), string([]byte{separator}))
		for i := 0; i+1 < len(fields) && i < 20_000; i += 2 {
			e.Parts = append(e.Parts, runbook.RawPart{Field: fields[i], Value: []byte(fields[i+1])})
		}
		e.Bytes = e.Size()
		got, c := within(t, e)
		checkSet(t, got.Set)
		peak(t, f.Name(), c)
	})
}
