package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"jwksbot/runbook"
)

// childEnv names the journal that a copy of the test binary executes.
const childEnv = "JOURNAL_TEST_CHILD"

// child is an executor in a process of its own that writes down each attempt of
// a state. It ends with SIGTERM.
func child() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	j, err := Open(ctx, Settings{URL: os.Getenv(childEnv), Log: log})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if does := os.Getenv(childEnv + "_REQUEST"); does != "" {
		return childRequestTransaction(ctx, j, does)
	}
	effects, err := os.OpenFile(os.Getenv(childEnv+"_EFFECTS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	err = j.Execute(ctx, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
		if err := j.Guard(ctx); err != nil {
			return runbook.Transition{}, err
		}
		fmt.Fprintf(effects, "%s %s %d\n", r.ID, r.State, os.Getpid())
		select { // the work of a state takes a moment in which it can be killed
		case <-time.After(3 * time.Millisecond):
		case <-ctx.Done():
			return runbook.Transition{}, ctx.Err()
		}
		return forward(ctx, r)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	j.Close(context.Background())
	return 0
}

// childRequest takes a request as the executor, perhaps carries it out, and then
// does nothing more until it is killed.
func childRequestTransaction(ctx context.Context, j *Journal, does string) int {
	go func() {
		for ctx.Err() == nil {
			p, ok, _ := j.Fenced().TakeRemoteRequest(ctx) // not before it executes
			if ok && does == "creates" {
				if err := j.Fenced().RequestTransaction(p.ID).Create(ctx, pending("r of the child", "a"), runbook.AuditEntry{Kind: "request"}); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if err := j.Execute(ctx, forward); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type process struct {
	cmd  *exec.Cmd
	done chan error
	out  *strings.Builder
}

func spawn(t *testing.T, url, effects string, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self), done: make(chan error, 1), out: &strings.Builder{}}
	p.cmd.Env = append(os.Environ(), childEnv+"="+url, childEnv+"_EFFECTS="+effects)
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stderr = p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// end asks the process to end and returns how it did.
func (p *process) end() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		if err != nil {
			return fmt.Errorf("%w: %s", err, p.out)
		}
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("the executor does not end")
	}
}

// stop stops the process, which keeps its connections.
func (p *process) stop() { p.cmd.Process.Signal(syscall.SIGSTOP) }
