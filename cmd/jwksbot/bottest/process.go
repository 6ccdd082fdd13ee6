package bottest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// ProgramEnv names the binary to a test that is run again as a child.
const ProgramEnv = "JWKSBOT_TEST_PROGRAM"

// Program builds the real binary once for all tests that start it.
var Program = sync.OnceValues(func() (string, error) {
	if file := os.Getenv(ProgramEnv); file != "" {
		return file, nil
	}
	dir, err := os.MkdirTemp("", "jwksbot-test-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "jwksbot")
	out, err := exec.Command("go", "build", "-o", file, "jwksbot/cmd/jwksbot").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})

// Process is the program while it runs.
type Process struct {
	t        *testing.T
	Cmd      *exec.Cmd
	Out, Err Buffer
	Ended    chan struct{}
}

// Launch starts a command whose output is kept.
func Launch(cmd *exec.Cmd) (*Process, error) {
	p := &Process{Cmd: cmd, Ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.Out, &p.Err
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { cmd.Wait(); close(p.Ended) }()
	return p, nil
}

// Start starts a command, and kills it at the end of the test.
func Start(t *testing.T, cmd *exec.Cmd) *Process {
	t.Helper()
	p, err := Launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	p.t = t
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%q said:\n%s", cmd.Args, p.Said())
		}
	})
	return p
}

// Kill ends it with SIGKILL, also when it is stopped.
func (p *Process) Kill() {
	p.Cmd.Process.Kill()
	<-p.Ended
}

// Exit waits for the end and returns the exit code.
func (p *Process) Exit() int {
	p.t.Helper()
	select {
	case <-p.Ended:
	case <-Bounded(p.t, 90*time.Second).Done():
		p.t.Fatalf("%v does not end\n%s", p.Cmd.Args, p.Said())
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Running fails the test if the process has ended.
func (p *Process) Running() {
	p.t.Helper()
	select {
	case <-p.Ended:
		p.t.Fatalf("it ended (%v):\n%s", p.Cmd.ProcessState, p.Said())
	default:
	}
}

// Said is everything that it has printed.
func (p *Process) Said() string { return p.Out.String() + p.Err.String() }

// Says waits until it has printed something that matches.
func (p *Process) Says(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	Poll(p.t, func() bool {
		found = re.FindStringSubmatch(p.Said())
		if found == nil {
			p.Running()
		}
		return found != nil
	}, func() string { return fmt.Sprintf("%q in\n%s", pattern, p.Said()) })
	return found
}

// Bounded ends a test's waiting long before the test runner would.
func Bounded(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Poll waits until something holds; what names it where that never comes.
func Poll(t *testing.T, holds func() bool, what func() string) {
	t.Helper()
	ctx := Bounded(t, 90*time.Second)
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Await waits until a channel is closed.
func Await(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-Bounded(t, 60*time.Second).Done():
		t.Fatalf("waited for %s", what)
	}
}

// Buffer collects what a child process prints.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write is part of io.Writer.
func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all of it, without the blanks around.
func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.b.String())
}

// Pause waits, or less when ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
