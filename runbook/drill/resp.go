package drill

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// redisTimeout bounds one command, in real time.
const redisTimeout = 5 * time.Second

// errNil is Redis's nil answer: no such key.
var errNil = errors.New("redis: no such key")

// store is the authoriser's connection to Redis: one connection, one command
// or pipeline at a time, reopened after an error.
type store struct {
	addr     string
	username string
	password redact.Secret

	mu     sync.Mutex
	conn   net.Conn
	reader *bufio.Reader
}

func newStore(addr, username string, password redact.Secret) *store {
	return &store{addr: addr, username: username, password: password}
}

// get returns the value and errNil when there is none.
func (s *store) get(ctx context.Context, key string) (string, error) {
	return s.do(ctx, "GET", key)
}

// set writes the value for ttl, which Redis takes in whole milliseconds.
func (s *store) set(ctx context.Context, key, value string, ttl time.Duration) error {
	_, err := s.do(ctx, "SET", key, value, "PX", strconv.FormatInt(max(ttl.Milliseconds(), 1), 10))
	return err
}

func (s *store) del(ctx context.Context, key string) error {
	_, err := s.do(ctx, "DEL", key)
	return err
}

// ttl returns what is left: runbook.NoExpiry for ever, zero for no such key.
func (s *store) ttl(ctx context.Context, key string) (time.Duration, error) {
	text, err := s.do(ctx, "PTTL", key)
	if err != nil {
		return 0, err
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("redis %s: PTTL answered %q", s.addr, text)
	case ms == -1:
		return runbook.NoExpiry, nil
	}
	return time.Duration(max(ms, 0)) * time.Millisecond, nil
}

// fillSessions writes n entries as another application would that shares the
// cache: sessions of signed-in users.
func (s *store) fillSessions(ctx context.Context, n int, rng *rand.Rand) error {
	const batch = 1000
	for n > 0 {
		var commands [][]string
		for range min(n, batch) {
			id := hexID(rng, 16)
			value := fmt.Sprintf(`{"user":"user-%d","created":%d}`, rng.IntN(1_000_000), 1_700_000_000+rng.IntN(1_000_000))
			ttl := strconv.Itoa(1800 + rng.IntN(7200))
			commands = append(commands, []string{"SET", "session:" + id, value, "EX", ttl})
		}
		if _, err := s.pipeline(ctx, commands); err != nil {
			return fmt.Errorf("write session entries: %w", err)
		}
		n -= len(commands)
	}
	return nil
}

func (s *store) do(ctx context.Context, args ...string) (string, error) {
	answers, err := s.pipeline(ctx, [][]string{args})
	if err != nil {
		return "", err
	}
	return answers[0], nil
}

// pipeline sends commands in one write and reads their answers. It fails with
// the first answer that is an error.
func (s *store) pipeline(ctx context.Context, commands [][]string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.conn == nil {
		if err := s.dial(ctx); err != nil {
			return nil, err
		}
	}
	answers, err := s.exchange(commands)
	if err != nil && !isAnswer(err) {
		s.drop() // the stream is in an unknown state
	}
	return answers, err
}

// exchange does one round trip on the open connection.
func (s *store) exchange(commands [][]string) ([]string, error) {
	if err := s.conn.SetDeadline(time.Now().Add(redisTimeout)); err != nil {
		return nil, fmt.Errorf("redis %s: %w", s.addr, err)
	}
	var out []byte
	for _, args := range commands {
		out = append(out, fmt.Sprintf("*%d\r\n", len(args))...)
		for _, a := range args {
			out = append(out, fmt.Sprintf("$%d\r\n%s\r\n", len(a), a)...)
		}
	}
	if _, err := s.conn.Write(out); err != nil {
		return nil, fmt.Errorf("redis %s: %w", s.addr, err)
	}
	answers := make([]string, len(commands))
	var first error
	for i := range commands {
		answer, err := s.readReply()
		if err != nil && !isAnswer(err) {
			return nil, fmt.Errorf("redis %s: %w", s.addr, err)
		}
		answers[i] = answer
		if first == nil {
			first = err
		}
	}
	return answers, first
}

// dial connects and authenticates. The password goes to loopback or to a Redis
// that the caller chose to reach without TLS.
func (s *store) dial(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: redisTimeout}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("redis %s: %w", s.addr, err)
	}
	s.conn, s.reader = conn, bufio.NewReader(conn)
	if s.password == "" {
		return nil
	}
	auth := []string{"AUTH", s.password.Reveal()}
	if s.username != "" {
		auth = []string{"AUTH", s.username, s.password.Reveal()}
	}
	if _, err := s.exchange([][]string{auth}); err != nil {
		s.drop()
		return fmt.Errorf("redis %s: log in as %q: %w", s.addr, orDefault(s.username, "default"), err)
	}
	return nil
}

func (s *store) drop() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn, s.reader = nil, nil
	}
}

func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
}

// redisError is an answer that begins with "-".
type redisError string

func (e redisError) Error() string { return string(e) }

// isAnswer says that the error is what Redis answered, so that the connection
// is still good.
func isAnswer(err error) bool {
	_, refused := errors.AsType[redisError](err)
	return refused || errors.Is(err, errNil)
}

// readReply reads a simple string, error, integer or bulk string: all that the
// commands above answer with.
func (s *store) readReply() (string, error) {
	line, err := s.reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	if len(line) < 3 {
		return "", fmt.Errorf("short reply %q", line)
	}
	kind, text := line[0], line[1:len(line)-2]
	switch kind {
	case '+', ':':
		return text, nil
	case '-':
		return "", redisError(text)
	case '$':
		n, err := strconv.Atoi(text)
		if err != nil {
			return "", fmt.Errorf("bulk length %q: %w", text, err)
		}
		if n < 0 {
			return "", errNil
		}
		b := make([]byte, n+2)
		if _, err := io.ReadFull(s.reader, b); err != nil {
			return "", err
		}
		return string(b[:n]), nil
	}
	return "", fmt.Errorf("unexpected reply %q", line)
}
