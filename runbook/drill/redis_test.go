package drill

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook/redact"
)

// startRedis starts a redis-server on a free loopback port, with a password,
// and ends it with the test.
func startRedis(t *testing.T, password string) string {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("JWKSBOT_REQUIRE_SERVERS") == "1" {
			t.Fatalf("redis-server not on PATH: %v", err)
		}
		t.Skipf("redis-server not on PATH: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(bin, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", t.TempDir(), "--requirepass", password)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, func() error {
		s := newStore(addr, "", redact.Secret(password))
		defer s.close()
		_, err := s.do(t.Context(), "PING")
		return err
	})
	return addr
}

// The same incident on a server as users have it; other keys stay untouched.
func TestFlushHealsStaleCacheOnRealRedis(t *testing.T) {
	addr, clock := startRedis(t, "drill-pass"), newFastClock(60)
	w := startWorld(t, Options{RedisAddr: addr, RedisPassword: "drill-pass", OtherKeys: 2500, Clock: clock})
	signInsSucceed(t, w, false)
	checkTTL(t, w, clock.start)
	deleteEntry(t, w)
	signInsSucceed(t, w, true)
	size, err := w.store.do(t.Context(), "DBSIZE")
	if n, _ := strconv.Atoi(size); err != nil || n != 2501 {
		t.Errorf("%s keys, %v; want 2501", size, err)
	}
}

func TestWrongPasswordIsNotInTheError(t *testing.T) {
	addr := startRedis(t, "drill-pass")
	_, err := Start(t.Context(), Options{RedisAddr: addr, RedisPassword: "hunter2-wrong"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// A connection that is lost is opened again with the next command.
func TestStoreReconnects(t *testing.T) {
	w := quietWorld(t)
	s := newStore(w.RedisAddr(), "", "")
	defer s.close()
	if err := s.set(t.Context(), "k", "v", time.Minute); err != nil {
		t.Fatal(err)
	}
	_ = s.conn.Close()
	if _, err := s.get(t.Context(), "k"); err == nil {
		t.Error("read from a closed connection")
	}
	if v, err := s.get(t.Context(), "k"); err != nil || v != "v" {
		t.Errorf("got %q, %v", v, err)
	}
	if _, err := s.get(t.Context(), "none"); !errors.Is(err, errNil) {
		t.Errorf("got %v", err)
	}
	if ttl, err := s.ttl(t.Context(), "none"); err != nil || ttl != 0 {
		t.Errorf("TTL of no key: %v, %v", ttl, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.get(ended, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
