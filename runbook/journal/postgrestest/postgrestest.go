// Package postgrestest starts a real PostgreSQL server for tests, on a free
// loopback port and with its files in a directory of its own.
//
// Without postgres on the machine a test is skipped; with
// JWKSBOT_REQUIRE_SERVERS=1 in the environment it fails.
package postgrestest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long the server may take to answer on a busy machine.
const patience = 60 * time.Second

// Server is one server for many databases. The zero value is ready: it starts
// with the first database. Stop it when the last test has ended.
type Server struct {
	mu        sync.Mutex
	tried     bool
	url       string
	err       error
	dir       string
	bin, data string
	port      int
	attr      *syscall.SysProcAttr
	cmd       *exec.Cmd
	ended     chan error // gets how cmd ended
	databases int
}

// Database returns the URL of a fresh database.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	admin, err := s.start()
	if err != nil {
		missing(t, err)
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, admin+"postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	s.mu.Lock()
	s.databases++
	name := fmt.Sprintf("t%d", s.databases)
	s.mu.Unlock()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return admin + name
}

// Restart ends every session, as an upgrade of the server does, and returns
// when the server answers again.
func (s *Server) Restart() error {
	s.halt()
	return s.launch()
}

// Halt ends the server and all sessions; Restart brings it back.
func (s *Server) Halt() { s.halt() }

// Stop ends the server for good and removes its files.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halt()
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

func (s *Server) halt() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGINT) // "fast": sessions are ended, data is written
	<-s.ended
	s.cmd = nil
}

func (s *Server) start() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.tried {
		s.tried = true
		s.err = s.prepare()
	}
	return s.url, s.err
}

func (s *Server) prepare() error {
	bin, err := find()
	if err != nil {
		return err
	}
	attr, uid, err := unprivileged()
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "postgrestest"); err != nil {
		return err
	}
	if err := os.Chown(s.dir, uid, -1); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.Command(filepath.Join(filepath.Dir(bin), "initdb"), "-D", data, "-A", "trust", "-U", "jwksbot", "--no-sync", "-E", "UTF8", "--locale=C")
	initdb.SysProcAttr, initdb.Dir = attr, s.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	s.bin, s.data, s.attr = bin, data, attr
	for attempt := 0; ; attempt++ { // somebody else may take the port in between
		if s.port, err = freePort(); err != nil {
			return err
		}
		s.url = fmt.Sprintf("postgres://jwksbot@127.0.0.1:%d/", s.port)
		if err := s.launch(); err == nil || attempt == 2 {
			return err
		}
	}
}

func find() (string, error) {
	bin, err := exec.LookPath("postgres")
	if err == nil {
		return bin, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", fmt.Errorf("postgres not on PATH: %w", err)
	}
	return found[0], nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// launch starts the server on its data and waits for its first answer.
func (s *Server) launch() error {
	fsync := "off" // no test cuts the power; the benchmarks shall be honest
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		fsync = "on"
	}
	s.cmd = exec.Command(s.bin, "-D", s.data, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "fsync="+fsync)
	s.cmd.SysProcAttr, s.cmd.Dir = s.attr, s.dir
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	s.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(s.cmd, s.ended)
	deadline := time.After(patience)
	for {
		conn, err := pgx.Connect(context.Background(), s.url+"postgres")
		if err == nil {
			return conn.Close(context.Background())
		}
		select {
		case end := <-s.ended:
			s.cmd = nil
			return fmt.Errorf("postgres ended at its start: %w", end)
		case <-deadline:
			s.halt()
			return fmt.Errorf("postgres does not answer: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// unprivileged is who runs the server: Postgres refuses to be run by root.
func unprivileged() (*syscall.SysProcAttr, int, error) {
	if os.Getuid() != 0 {
		return leash(&syscall.SysProcAttr{}), os.Getuid(), nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil {
			return leash(&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}), uid, nil
		}
	}
	return nil, 0, errors.New("no user to run postgres as: it refuses root")
}
