package cache

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook/cache/redistest"
)

// door stands before a Redis server and lets in who ElastiCache would: over
// TLS, with a token that was signed for this cache and this user by a key that
// AWS knows, at most 15 minutes ago. It remembers every token.
type door struct {
	addr    string
	roots   *x509.CertPool
	clock   *tickingClock
	cache   string            // in lower case
	user    string            // user id and name
	secrets map[string]string // of AWS, by access key id
	behind  string            // address of the server

	mu      sync.Mutex
	entered []token
	told    int // how many of them newTokens has returned
	refused []token
	crowd   int           // connections that have to be let in before any may go on
	full    chan struct{} // closed when they have been
	conns   map[net.Conn]bool
}

// token is what a connection authenticated with.
type token struct {
	text string
	key  string // access key id
	at   time.Time
}

func openDoor(t testing.TB, clock *tickingClock) *door {
	t.Helper()
	behind := redistest.Start(t, redistest.Options{})
	behind.CLI(t, "set", "jwks:1", "v")
	web := httptest.NewTLSServer(nil) // for its certificate
	web.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	d := &door{addr: l.Addr().String(), roots: x509.NewCertPool(), clock: clock, cache: "oidc", user: "jwksbot",
		secrets: map[string]string{}, behind: behind.Addr, conns: map[net.Conn]bool{}}
	d.roots.AddCert(web.Certificate())
	t.Cleanup(func() { l.Close(); d.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.conns[c] = true
			d.mu.Unlock()
			go d.attend(c)
		}
	}()
	return d
}

// cut ends every connection, as ElastiCache does after 12 hours.
func (d *door) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.Close()
		delete(d.conns, c)
	}
}

// awaitCrowd makes the next n connections wait for each other.
func (d *door) awaitCrowd(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crowd, d.full = n, make(chan struct{})
}

// tokens are those of the connections that were let in, and of those that
// were not.
func (d *door) tokens() (entered, refused []token) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]token(nil), d.entered...), append([]token(nil), d.refused...)
}

// newTokens returns the tokens of the connections that were let in since it
// was last asked.
func (d *door) newTokens(t testing.TB, want int) []token {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	got := d.entered[d.told:]
	d.told = len(d.entered)
	if len(got) != want {
		t.Fatalf("%d connections were let in, want %d", len(got), want)
	}
	return got
}

// attend hears one connection until it has authenticated, and connects it with
// the server.
func (d *door) attend(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", d.behind)
	if err != nil {
		return
	}
	defer up.Close()
	in := bufio.NewReader(c)
	for {
		words, err := readCommand(in)
		if err != nil {
			return
		}
		user, password := credentialsIn(words)
		if password == "" {
			fmt.Fprint(c, "-NOAUTH Authentication required.\r\n")
			continue
		}
		if err := d.judge(user, password); err != nil {
			fmt.Fprint(c, "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
			continue
		}
		if strings.EqualFold(words[0], "auth") {
			fmt.Fprint(c, "+OK\r\n")
		} else {
			fmt.Fprintf(up, "HELLO %s\r\n", words[1])
		}
		break
	}
	d.waitForCrowd()
	go func() {
		defer c.Close()
		io.Copy(c, up)
	}()
	io.Copy(up, in)
}

func (d *door) waitForCrowd() {
	d.mu.Lock()
	full := d.full
	if d.crowd--; d.crowd == 0 {
		close(full)
	}
	waits := d.crowd > 0
	d.mu.Unlock()
	if waits {
		<-full
	}
}

// credentialsIn finds user and password in AUTH and HELLO.
func credentialsIn(words []string) (user, password string) {
	switch name := strings.ToLower(words[0]); {
	case name == "auth" && len(words) == 3:
		return words[1], words[2]
	case name == "hello" && len(words) >= 5 && strings.EqualFold(words[2], "auth"):
		return words[3], words[4]
	}
	return "", ""
}

// judge remembers a token and says what is wrong with it.
func (d *door) judge(user, text string) error {
	tok, err := d.read(user, text)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.refused = append(d.refused, tok)
		return err
	}
	d.entered = append(d.entered, tok)
	return nil
}

func (d *door) read(user, text string) (token, error) {
	tok := token{text: text}
	host, query, _ := strings.Cut(text, "/?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return tok, err
	}
	scope := strings.Split(q.Get("X-Amz-Credential"), "/")
	if len(scope) != 5 {
		return tok, errors.New("no credential")
	}
	tok.key = scope[0]
	if tok.at, err = time.Parse("20060102T150405Z", q.Get("X-Amz-Date")); err != nil {
		return tok, err
	}
	expires, err := strconv.Atoi(q.Get("X-Amz-Expires"))
	switch age := d.clock.present().Sub(tok.at); {
	case err != nil || expires > 900:
		return tok, errors.New("no end")
	case age < 0 || age > time.Duration(expires)*time.Second:
		return tok, errors.New("expired")
	case user != d.user || q.Get("User") != d.user || host != d.cache || q.Get("Action") != "connect":
		return tok, errors.New("for somebody else")
	case d.secrets[tok.key] == "" || q.Get("X-Amz-Signature") != signature(d.secrets[tok.key], host, q, scope):
		return tok, errors.New("signature")
	}
	return tok, nil
}

// signature computes Signature Version 4 of a presigned GET (IAM user guide,
// "Create a signed AWS API request"), by other code than what signs.
func signature(secret, host string, q url.Values, scope []string) string {
	signed := url.Values{}
	for name, values := range q {
		if name != "X-Amz-Signature" {
			signed[name] = values
		}
	}
	request := strings.Join([]string{"GET", "/", strings.ReplaceAll(signed.Encode(), "+", "%20"), "host:" + host, "", "host", sha256hex("")}, "\n")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", q.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), sha256hex(request)}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range append(scope[1:len(scope):len(scope)], text) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func sha256hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// readCommand reads one command as clients send it: an array of bulk strings.
func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readLength(r, '*')
	if err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		size, err := readLength(r, '$')
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		words[i] = string(b[:size])
	}
	return words, nil
}

func readLength(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil || line[0] != kind || n < 1 || n > 1<<20 {
		return 0, fmt.Errorf("%q is no length", line)
	}
	return n, nil
}
