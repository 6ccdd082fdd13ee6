package bottest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands between the program and Redis and can hold every command
// while something is so.
type Proxy struct {
	Addr string
	to   string
	Lag  time.Duration // before each piece that the program sends

	mu    sync.Mutex
	hold  func() bool
	held  chan struct{} // closed when the first command is held
	free  chan struct{} // closed to let everything go
	conns map[net.Conn]bool
}

// StartProxy listens until the test ends.
func StartProxy(t *testing.T, to string) *Proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); p.Release(); p.DropAll() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(c)
		}
	}()
	return p
}

// HoldWhile holds the next command that comes while f is true, and all after
// it, until release.
func (p *Proxy) HoldWhile(f func() bool) (held <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold, p.held, p.free = f, make(chan struct{}), make(chan struct{})
	return p.held
}

// Release lets everything go.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold != nil {
		p.hold = nil
		close(p.free)
	}
}

func (p *Proxy) gate() {
	p.mu.Lock()
	hold, held, free := p.hold, p.held, p.free
	p.mu.Unlock()
	if hold == nil || !hold() {
		return
	}
	p.mu.Lock()
	select {
	case <-held:
	default:
		close(held)
	}
	p.mu.Unlock()
	<-free
}

func (p *Proxy) carry(c net.Conn) {
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		c.Close()
		return
	}
	p.mu.Lock()
	p.conns[c], p.conns[up] = true, true
	p.mu.Unlock()
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := up.Read(buf)
			if n > 0 {
				c.Write(buf[:n])
			}
			if err != nil {
				c.Close()
				return
			}
		}
	}()
	buf := make([]byte, 16<<10)
	for {
		n, err := c.Read(buf)
		if n > 0 {
			p.gate()
			time.Sleep(p.Lag)
			if _, werr := up.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			up.Close()
			c.Close()
			return
		}
	}
}

// DropAll cuts the connections, as the end of a process does.
func (p *Proxy) DropAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
		delete(p.conns, c)
	}
}
