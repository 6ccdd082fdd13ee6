package postgrestest

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"testing"
	"time"
)

// childEnv makes the test below the process that is killed.
const childEnv = "JWKSBOT_TEST_LEASH"

// address is where a fresh server listens.
func address(t *testing.T) string {
	var s Server
	u, err := url.Parse(s.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// TestServerEndsWithItsTest kills a test that has a server: nothing is left that
// holds memory, ports and locks for good.
func TestServerEndsWithItsTest(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		fmt.Println(address(t))
		select {}
	}
	if _, err := find(); err != nil {
		missing(t, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), childEnv+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	if _, err := fmt.Fscan(out, &addr); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("the server does not run: %v", err)
	}
	defer c.Close()
	child.Process.Kill()
	child.Wait()
	c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, c); os.IsTimeout(err) { // it may say goodbye first
		t.Errorf("the server outlives its test: %v", err)
	}
}
