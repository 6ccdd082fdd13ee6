package outbound

import (
	"net"
	"net/url"
)

// Private says that nobody on the way can read or change what goes to the
// address and comes back: it is https, or does not leave this machine.
func Private(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname())
}

// Loopback says that a host, by name or number, is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
