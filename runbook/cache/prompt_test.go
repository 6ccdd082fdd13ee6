package cache

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// What was not sent in time is not sent at all, even where the runtime has not
// noticed yet that the time is over.
func TestNothingIsSentTooLate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()

	conn := newPromptConn(near.(*net.TCPConn), nil)
	if _, err := conn.Write([]byte("a")); err != nil {
		t.Errorf("without a deadline: %v", err)
	}
	late := time.Now()
	conn.now = func() time.Time { return late }
	for name, set := range map[string]func(time.Time) error{"SetDeadline": conn.SetDeadline, "SetWriteDeadline": conn.SetWriteDeadline} {
		late = time.Now()
		if err := set(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("b")); err != nil {
			t.Errorf("%s, in time: %v", name, err)
		}
		late = time.Now().Add(2 * time.Hour) // the process was stopped meanwhile
		if n, err := conn.Write([]byte("c")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s, too late: %d bytes sent, %v", name, n, err)
		}
	}
	late = time.Now()
	lease, takeAway := leaseOf(errors.New("not confirmed any more"))
	conn.lease = lease
	if _, err := conn.Write([]byte("d")); err != nil {
		t.Errorf("with a lease: %v", err)
	}
	takeAway()
	if n, err := conn.Write([]byte("e")); n != 0 || err == nil {
		t.Errorf("without a lease: %d bytes sent, %v", n, err)
	}
	conn.Close()
	if got, err := io.ReadAll(far); err != nil || string(got) != "abbd" {
		t.Errorf("the other side got %q, %v", got, err)
	}
}
