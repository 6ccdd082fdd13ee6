// Package redistest starts real Redis servers for tests: standalone, with TLS
// and an ACL user, as a replica, or as a cluster. Each listens on a free
// loopback port, keeps its files in the test's directory, and ends with the
// test.
//
// Without redis-server on PATH the test is skipped; with
// JWKSBOT_REQUIRE_SERVERS=1 in the environment it fails.
package redistest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to start or a cluster to form.
const patience = 20 * time.Second

// Options say what kind of server is wanted; the zero value is a standalone
// server without TLS and passwords.
type Options struct {
	TLS       bool     // encryption in transit, with a generated authority
	User      string   // an ACL user beside the default one, which is then closed
	Password  string   // of User
	Rules     string   // ACL rules of User, like "~jwks:* +@read"
	ReplicaOf *Server  // makes it a replica
	Args      []string // further arguments of redis-server
}

// Server is a running redis-server.
type Server struct {
	Addr     string         // 127.0.0.1:port
	RootCAs  *x509.CertPool // trusts the server's certificate; nil without TLS
	CAFile   string         // the same in PEM; "" without TLS
	User     string
	Password string

	admin   string // password of the user "admin", who may do anything; "" when nobody needs one
	process *exec.Cmd
	ended   chan struct{}
	output  *bytes.Buffer
}

// Need skips or fails the test when a program that it needs is not on PATH.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("JWKSBOT_REQUIRE_SERVERS") == "1" {
				t.Fatalf("%s not on PATH, and JWKSBOT_REQUIRE_SERVERS=1: %v", p, err)
			}
			t.Skipf("%s not on PATH: install redis-server to run this test", p)
		}
	}
}

// Start runs one server and waits until it answers.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	Need(t, "redis-server", "redis-cli")
	return start(t, o, func() []string { return nil })
}

// start runs a server, on other ports when somebody else took one of them between
// its being found free and its being used. more are arguments with ports of their own.
func start(t testing.TB, o Options, more func() []string) *Server {
	t.Helper()
	for attempt := 0; ; attempt++ {
		s := launch(t, o, more())
		err := s.awaitPong()
		if err == nil {
			return s
		}
		if attempt == 2 {
			t.Fatalf("redis-server: %v\n%s", err, s.log())
		}
	}
}

// StartCluster runs a cluster with the given number of primaries, each with
// as many replicas, and waits until all slots are served.
func StartCluster(t testing.TB, primaries, replicas int) []*Server {
	t.Helper()
	Need(t, "redis-server", "redis-cli")
	var all []*Server
	args := []string{"--cluster", "create"}
	for range primaries * (1 + replicas) {
		s := start(t, Options{}, func() []string {
			return []string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(freePort(t)), "--cluster-node-timeout", "2000"}
		})
		all = append(all, s)
		args = append(args, s.Addr)
	}
	args = append(args, "--cluster-replicas", strconv.Itoa(replicas), "--cluster-yes")
	// Without a limit it waits for ever for a node whose bus port somebody else
	// took in between.
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput(); err != nil {
		t.Fatalf("redis-cli --cluster create: %v\n%s", err, out)
	}
	Await(t, "the cluster to form", func() bool {
		for _, s := range all {
			info := s.CLI(t, "cluster", "info")
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(len(all))) {
				return false
			}
		}
		return strings.Count(all[0].CLI(t, "cluster", "nodes"), "slave") == primaries*replicas
	})
	for _, s := range all {
		Await(t, "the replicas to follow", func() bool {
			role := s.CLI(t, "role")
			return !strings.HasPrefix(role, "slave") || strings.Contains(role, "\nconnected\n")
		})
	}
	return all
}

// failoverTimeout is when a primary gives up a failover that it was asked for
// (CLUSTER FAILOVER, "manual failover timeout").
const failoverTimeout = 5 * time.Second

// Promote makes a replica of a cluster the primary of its shard, without a
// loss, and waits until it is.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	var asked time.Time
	Await(t, s.Addr+" to be a primary", func() bool {
		if strings.HasPrefix(s.CLI(t, "role"), "master") {
			return true
		}
		if time.Since(asked) > failoverTimeout {
			s.CLI(t, "cluster", "failover")
			asked = time.Now()
		}
		return false
	})
}

// Await polls a condition until it holds, and fails the test after patience.
func Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
		<-tick.C
	}
}

// CLI runs redis-cli against the server, as a user who may do anything, and
// returns what it prints.
func (s *Server) CLI(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.cli(args...)
	if err != nil {
		t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
	}
	return out
}

// Stop ends the server at once.
func (s *Server) Stop() {
	_ = s.process.Process.Kill()
	<-s.ended
}

// PID is the server's process id.
func (s *Server) PID() int { return s.process.Process.Pid }

func (s *Server) cli(args ...string) (string, error) {
	host, port, _ := net.SplitHostPort(s.Addr)
	all := []string{"-h", host, "-p", port}
	if s.CAFile != "" {
		all = append(all, "--tls", "--cacert", s.CAFile)
	}
	if s.admin != "" {
		all = append(all, "--user", "admin", "--pass", s.admin, "--no-auth-warning")
	}
	out, err := exec.Command("redis-cli", append(all, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func launch(t testing.TB, o Options, extra []string) *Server {
	t.Helper()
	dir := t.TempDir()
	port := strconv.Itoa(freePort(t))
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", port), User: o.User, Password: o.Password, ended: make(chan struct{}), output: &bytes.Buffer{}}
	args := []string{"--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no", "--loglevel", "notice", "--repl-diskless-sync-delay", "0"}
	if o.TLS {
		f := makeTLS(t, dir)
		s.RootCAs, s.CAFile = f.pool, f.ca
		args = append(args, "--port", "0", "--tls-port", port, "--tls-cert-file", f.cert, "--tls-key-file", f.key, "--tls-ca-cert-file", f.ca, "--tls-auth-clients", "no")
	} else {
		args = append(args, "--port", port)
	}
	if o.User != "" {
		s.admin = "admin-" + port
		acl := fmt.Sprintf("user default off\nuser admin on >%s ~* &* +@all\nuser %s on >%s %s\n", s.admin, o.User, o.Password, o.Rules)
		file := filepath.Join(dir, "users.acl")
		if err := os.WriteFile(file, []byte(acl), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--aclfile", file)
	}
	if o.ReplicaOf != nil {
		host, port, _ := net.SplitHostPort(o.ReplicaOf.Addr)
		args = append(args, "--replicaof", host, port)
	}
	args = append(append(args, extra...), o.Args...)
	s.process = exec.Command("redis-server", args...)
	s.process.Stdout, s.process.Stderr = s.output, s.output
	s.process.SysProcAttr = leash(&syscall.SysProcAttr{})
	if err := s.process.Start(); err != nil {
		t.Fatalf("redis-server: %v", err)
	}
	go func() {
		_ = s.process.Wait()
		close(s.ended)
	}()
	t.Cleanup(s.Stop)
	return s
}

// log is the end of what the server printed; only an ended server is asked.
func (s *Server) log() string {
	s.Stop()
	text := s.output.String()
	return text[max(0, len(text)-2000):]
}

func (s *Server) awaitPong() error {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := s.cli("ping")
		if err == nil && out == "PONG" {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("ended at once")
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no PONG within %v: %s", patience, out)
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Admin is the name and password of a user who may do anything; both are
// empty on a server without users.
func (s *Server) Admin() (user, password string) {
	if s.admin == "" {
		return "", ""
	}
	return "admin", s.admin
}

// TLSConfig is a client's configuration for the server, nil without TLS.
func (s *Server) TLSConfig() *tls.Config {
	if s.RootCAs == nil {
		return nil
	}
	return &tls.Config{RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}
}
