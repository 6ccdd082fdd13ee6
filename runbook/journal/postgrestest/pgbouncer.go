package postgrestest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pooler is a PgBouncer before a Server.
type Pooler struct {
	port   int
	direct string // the server's URL
}

// Pool starts a PgBouncer in front of the server, in the mode that is named
// (session, transaction or statement), with at most size connections to each
// database; lines are added to its configuration. It ends with the test.
func (s *Server) Pool(t testing.TB, mode string, size int, lines ...string) *Pooler {
	t.Helper()
	direct, err := s.start()
	if err != nil {
		missing(t, err)
	}
	bin, err := findPooler()
	if err != nil {
		missing(t, err)
	}
	for range 3 { // somebody else may take the port in between
		p := &Pooler{direct: direct}
		if p.port, err = freePort(); err != nil {
			t.Fatal(err)
		}
		if err = p.launch(t, s, bin, mode, size, lines); err == nil {
			return p
		}
	}
	t.Fatal(err)
	return nil
}

// URL is that of a database of the server, through the pooler.
func (p *Pooler) URL(database string) string {
	u, err := url.Parse(database)
	if err != nil {
		panic(err) // it comes from Database
	}
	u.Host = fmt.Sprintf("127.0.0.1:%d", p.port)
	return u.String()
}

func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("JWKSBOT_REQUIRE_SERVERS") == "1" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// findPooler looks also where Debian puts it, which is not on everybody's PATH.
func findPooler() (string, error) {
	bin, err := exec.LookPath("pgbouncer")
	if err == nil {
		return bin, nil
	}
	const debian = "/usr/sbin/pgbouncer"
	if _, serr := os.Stat(debian); serr != nil {
		return "", fmt.Errorf("pgbouncer not on PATH: %w", err)
	}
	return debian, nil
}

func (p *Pooler) launch(t testing.TB, s *Server, bin, mode string, size int, lines []string) error {
	u, err := url.Parse(p.direct)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.dir, "pool")
	if err != nil {
		return err
	}
	users := filepath.Join(dir, "users.txt")
	config := append([]string{"[databases]", fmt.Sprintf("* = host=127.0.0.1 port=%s", u.Port()), "[pgbouncer]",
		"listen_addr = 127.0.0.1", fmt.Sprintf("listen_port = %d", p.port), "unix_socket_dir =", "auth_type = trust", "auth_file = " + users,
		"pool_mode = " + mode, fmt.Sprintf("default_pool_size = %d", size), "server_login_retry = 1"}, lines...)
	file := filepath.Join(dir, "pgbouncer.ini")
	for name, text := range map[string]string{users: "\"jwksbot\" \"\"\n", file: strings.Join(config, "\n") + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	var said strings.Builder
	cmd := exec.Command(bin, file)
	cmd.SysProcAttr, cmd.Dir, cmd.Stderr = s.attr, dir, &said
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	end := func() { cmd.Process.Signal(syscall.SIGKILL); <-ended }
	for deadline := time.After(patience); ; {
		conn, err := pgx.Connect(context.Background(), p.URL(p.direct+"postgres"))
		if err == nil {
			conn.Close(context.Background())
			t.Cleanup(end)
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("pgbouncer ended at its start: %s", said.String())
		case <-deadline:
			end()
			return fmt.Errorf("pgbouncer does not answer: %w\n%s", err, said.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
