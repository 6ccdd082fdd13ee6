package main

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

// programEnv names the binary to a test that is run again as a child.
const programEnv = "JWKSBOT_TEST_PROGRAM"

// program builds the real binary once for all tests that start it.
var program = sync.OnceValues(func() (string, error) {
	if file := os.Getenv(programEnv); file != "" {
		return file, nil
	}
	dir, err := os.MkdirTemp("", "jwksbot-test-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "jwksbot")
	out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})

// process is the program while it runs.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err lockedBuffer
	ended    chan struct{}
}

// launch starts a command whose output is kept.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.err
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { cmd.Wait(); close(p.ended) }()
	return p, nil
}

// startProcess starts a command, and kills it at the end of the test.
func startProcess(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p, err := launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	p.t = t
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%q said:\n%s", cmd.Args, p.said())
		}
	})
	return p
}

// kill ends it with SIGKILL, also when it is stopped.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-bounded(p.t, 90*time.Second).Done():
		p.t.Fatalf("%v does not end\n%s", p.cmd.Args, p.said())
	}
	return p.cmd.ProcessState.ExitCode()
}

// runs fails the test if the process has ended.
func (p *process) runs() {
	p.t.Helper()
	select {
	case <-p.ended:
		p.t.Fatalf("it ended (%v):\n%s", p.cmd.ProcessState, p.said())
	default:
	}
}

// said is everything that it has printed.
func (p *process) said() string { return p.out.String() + p.err.String() }

// says waits until it has printed something that matches.
func (p *process) says(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	poll(p.t, func() bool {
		found = re.FindStringSubmatch(p.said())
		if found == nil {
			p.runs()
		}
		return found != nil
	}, func() string { return fmt.Sprintf("%q in\n%s", pattern, p.said()) })
	return found
}

// bounded ends a test's waiting long before the test runner would.
func bounded(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func poll(t *testing.T, holds func() bool, what func() string) {
	t.Helper()
	ctx := bounded(t, 90*time.Second)
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func await(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-bounded(t, 60*time.Second).Done():
		t.Fatalf("waited for %s", what)
	}
}

// lockedBuffer collects what a child process prints.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.b.String())
}
