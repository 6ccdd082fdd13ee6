package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/drill"
)

// The benchmarks print the figures of the specification's section 11 beside
// their goals. None of them fails for being slow: a busy machine is no fault.
//
//	go test ./cmd/jwksbot -run '^$' -bench . -benchtime 10x

// callTakes is how long every call takes in BenchmarkCheckWallTime.
const callTakes = 200 * time.Millisecond

// BenchmarkCheckWallTime is `check production` from nothing, as a terminal
// runs it, where every HTTP request and every Redis round trip takes 200 ms. It
// counts the calls on the wire and holds the time against the longest chain of
// calls that wait for each other. Goal: a ratio of 1.15.
func BenchmarkCheckWallTime(b *testing.B) {
	server := redistest.Start(b, redistest.Options{})
	slow := startSlowProxy(b, server.Addr)
	staged, err := drill.Start(b.Context(), drill.Options{RedisAddr: slow.addr, Latency: callTakes, OtherKeys: 1200})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { staged.Close() })
	cfg, err := demoConfig(staged, filepath.Join(b.TempDir(), "journal.db"), 0)
	if err != nil {
		b.Fatal(err)
	}
	slow.delay.Store(int64(callTakes))
	w, worst, chain := quietWorld(), 0.0, 0
	var total time.Duration
	for b.Loop() {
		calls := &countedCalls{of: map[string]int{}}
		base := demoAWS(staged)
		base.HTTPClient = &http.Client{Transport: calls}
		p, err := w.assembleWith(cfg, base, nil, runbook.SystemClock{})
		if err != nil {
			b.Fatal(err)
		}
		slow.forget()
		start := time.Now()
		report, err := p.runner.Check(b.Context(), p.targets[0], check.Ask{Anew: true}, check.Silent{})
		took := time.Since(start)
		if err != nil || report.Diagnosis.Verdict.ID != diagnose.StaleCache {
			b.Fatalf("verdict %q, %v", report.Diagnosis.Verdict.ID, err)
		}
		discovery := calls.of["elasticache"]
		chain = max(discovery+slow.longest(), discovery+calls.of["monitoring"], calls.of["logs"], 1)
		total += took
		worst = max(worst, took.Seconds()/(time.Duration(chain)*callTakes).Seconds())
		p.close()
	}
	mean := total / time.Duration(b.N)
	b.ReportMetric(float64(mean.Milliseconds()), "ms/check")
	b.ReportMetric(float64(chain), "calls-in-chain")
	b.ReportMetric(mean.Seconds()/(time.Duration(chain)*callTakes).Seconds(), "ratio(goal≤1.15)")
	b.ReportMetric(worst, "worst-ratio")
}

// countedCalls counts requests by AWS service, which the signature names.
type countedCalls struct {
	mu sync.Mutex
	of map[string]int
}

func (c *countedCalls) RoundTrip(r *http.Request) (*http.Response, error) {
	if scope := strings.Split(r.Header.Get("Authorization"), "/"); len(scope) > 3 {
		c.mu.Lock()
		c.of[scope[3]]++
		c.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(r)
}

// slowProxy stands before Redis and holds every request back for a while, each
// connection by itself. A pipeline is one request.
type slowProxy struct {
	addr, to string
	delay    atomic.Int64

	mu    sync.Mutex
	trips map[net.Conn]int // requests by connection
}

func startSlowProxy(b *testing.B, to string) *slowProxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	p := &slowProxy{addr: l.Addr().String(), to: to, trips: map[net.Conn]int{}}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(c)
		}
	}()
	return p
}

func (p *slowProxy) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { io.Copy(from, to); from.Close() }()
	buf := make([]byte, 1<<20)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.trips[from]++
		p.mu.Unlock()
		time.Sleep(time.Duration(p.delay.Load()))
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// forget starts to count anew, on new connections only: those of the drill's
// authoriser, which keeps its own, do not count.
func (p *slowProxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.trips {
		p.trips[c] = -1 << 20
	}
}

// longest is the most requests that went over one connection.
func (p *slowProxy) longest() (most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.trips {
		most = max(most, n)
	}
	return most
}

// shipped builds the program as the Dockerfile does.
var shipped = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "jwksbot-bench-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "jwksbot")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})

// served is a place where the shipped program serves.
type served struct {
	file string
	args []string
	env  []string
	sim  *slacksim.Sim
}

func newServed(b *testing.B) *served {
	file, err := shipped()
	if err != nil {
		b.Fatal(err)
	}
	staged, err := drill.Start(b.Context(), drill.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { staged.Close() })
	sim := slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})
	url, err := sim.Start("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { sim.Close() })
	dir := b.TempDir()
	config := filepath.Join(dir, "jwksbot.yaml")
	text := demoText(staged, filepath.Join(dir, "journal.db"), 0)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	env := append(os.Environ(), "SLACK_API_URL="+url+"/api/", "AWS_ENDPOINT_URL="+staged.AWSEndpoint(),
		"AWS_ACCESS_KEY_ID=AKIADRILLDRILLDRILL0", "AWS_SECRET_ACCESS_KEY=drill", "AWS_REGION="+drill.Region,
		"AWS_CA_BUNDLE=") // of this machine; reading it costs what no other has to pay
	return &served{file: file, args: []string{"serve", "--config", config}, env: env, sim: sim}
}

// firstAck starts the program and returns its process, and how long it was from
// the start until a command was acknowledged.
func (s *served) firstAck(b *testing.B) (*exec.Cmd, time.Duration) {
	b.Helper()
	cmd := exec.Command(s.file, s.args...)
	cmd.Env = s.env
	var said bottest.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { end(cmd) })
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	if err := s.sim.Wait(ctx, func(sim *slacksim.Sim) bool { return len(sim.Connections()) > 0 }); err != nil {
		b.Fatalf("%v\n%s", err, said.String())
	}
	d := s.sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-check help")
	took := time.Since(start)
	if !d.Acked {
		b.Fatalf("not acknowledged: %v\n%s", d.Err, said.String())
	}
	return cmd, took
}

// end ends the program in order and waits for it.
func end(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
}

// BenchmarkFirstAck is the time from the start of the shipped program, with the
// journal of an earlier life, to the first acknowledged command. Goal: 100 ms.
func BenchmarkFirstAck(b *testing.B) {
	s := newServed(b)
	cmd, _ := s.firstAck(b) // makes the journal
	end(cmd)
	var all, worked, floor []time.Duration
	for b.Loop() {
		// The end of the last one is seen before the next is started.
		for len(s.sim.Connections()) > 0 {
			time.Sleep(time.Millisecond)
		}
		floor = append(floor, processStart(b, s.file))
		cmd, took := s.firstAck(b)
		all, worked = append(all, took), append(worked, processorTime(cmd))
		end(cmd)
	}
	slices.Sort(all)
	slices.Sort(worked)
	slices.Sort(floor)
	b.ReportMetric(milliseconds(all[len(all)/2]), "ms-median(goal≤100)")
	b.ReportMetric(milliseconds(floor[len(floor)/2]), "ms-floor-process-start")
	b.ReportMetric(milliseconds(all[0]), "ms-best")
	b.ReportMetric(milliseconds(all[len(all)-1]), "ms-worst")
	b.ReportMetric(milliseconds(worked[len(worked)/2]), "ms-of-processor")
}

// processorTime is how long the program's threads have run: the part of the
// time to the first acknowledgement that a busy machine does not change.
func processorTime(cmd *exec.Cmd) (sum time.Duration) {
	threads, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "task", "*", "schedstat"))
	for _, file := range threads {
		text, _ := os.ReadFile(file) // nanoseconds first; a thread that has ended counts nothing
		ran, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(ran, 10, 64)
		sum += time.Duration(n)
	}
	return sum
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// trafficChecks is how many checks BenchmarkIdleMemory has behind it.
const trafficChecks = 200

// BenchmarkIdleMemory is what the shipped program occupies when nobody asks for
// anything: ten seconds after its start, and two minutes after 200 checks with
// some clicks. Goal: 30 MiB.
func BenchmarkIdleMemory(b *testing.B) {
	s := newServed(b)
	var fresh, rss, anonymous, busy float64
	for b.Loop() {
		cmd, _ := s.firstAck(b)
		time.Sleep(10 * time.Second)
		fresh = max(fresh, mebibytes(b, cmd, "status", "VmRSS:"))
		s.traffic(b)
		busy = max(busy, mebibytes(b, cmd, "status", "VmRSS:"))
		time.Sleep(releaseEvery*2 + 5*time.Second)
		rss = max(rss, mebibytes(b, cmd, "status", "VmRSS:"))
		anonymous = max(anonymous, mebibytes(b, cmd, "status", "RssAnon:"))
		end(cmd)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(fresh, "MiB-RSS-fresh(goal≤30)")
	b.ReportMetric(busy, "MiB-RSS-right-after-traffic")
	b.ReportMetric(rss, "MiB-RSS-after-traffic(goal≤30)")
	b.ReportMetric(anonymous, "MiB-anonymous")
}

// traffic is what people do in some days: checks of windows that differ, so that
// none is answered with the result of another one, and clicks on what they see.
func (s *served) traffic(b *testing.B) {
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	for i := range trafficChecks {
		before := len(s.answers())
		if d := s.sim.Command("U0ONCALL", "C0BRIDGE", fmt.Sprintf("/jwks-check production since=%dm", 5+i)); !d.Acked {
			b.Fatal(d.Err)
		}
		if err := s.sim.Wait(ctx, func(*slacksim.Sim) bool { return len(s.answers()) > before }); err != nil {
			b.Fatal(err)
		}
		if i%10 == 0 {
			s.sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-check help")
			s.sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-flush status")
		}
	}
}

// answers are the messages with a verdict.
func (s *served) answers() (all []slacksim.Message) {
	for _, m := range s.sim.Messages("C0BRIDGE") {
		if m.Metadata != nil && m.Metadata.Payload["verdict"] != nil && m.Metadata.Payload["verdict"] != "" {
			all = append(all, m)
		}
	}
	return all
}

// mebibytes reads a line like "VmRSS:   1234 kB" of a file in /proc.
func mebibytes(b testing.TB, cmd *exec.Cmd, file, name string) float64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), file))
	if err != nil {
		b.Skipf("no %s of a process here: %v", file, err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			n, err := strconv.ParseFloat(fields[1], 64)
			if err == nil {
				return n / 1024
			}
		}
	}
	b.Skipf("%s has no %s", file, name)
	return 0
}

// BenchmarkBinarySize is the size of the shipped program. Goal: 40 MB.
func BenchmarkBinarySize(b *testing.B) {
	file, err := shipped()
	if err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB(goal≤40)")
}
