package keys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"jwksbot/runbook"
)

// judgeAnswer says what is wrong with a complete answer, "" when clients can
// use it.
func judgeAnswer(p runbook.Probe, d *document) string {
	set := d.set
	media, _, _ := strings.Cut(strings.ToLower(p.ContentType), ";")
	switch {
	case p.Status != http.StatusOK:
		return strings.TrimSpace(fmt.Sprintf("it answers HTTP %d %s", p.Status, http.StatusText(p.Status)))
	case d.nature == natureHTML, strings.TrimSpace(media) == "text/html" && set.Shape != runbook.ShapeSet:
		return fmt.Sprintf("it answers HTTP 200 with a web page of %d bytes instead of a key set", p.Size)
	case set.Shape == runbook.ShapeUnreadable:
		return "it answers HTTP 200 without a key set: " + strings.Join(set.Problems, "; ")
	case set.Shape != runbook.ShapeSet:
		return fmt.Sprintf("its answer is not a key set: it has the shape %q, which verifiers do not read", set.Shape)
	case d.broken:
		return "its answer is not valid JSON: " + strings.Join(set.Problems, "; ")
	case len(set.Keys) == 0:
		return "its key set is empty"
	case set.Usable == 0:
		return fmt.Sprintf("none of its %d keys can check a signature; %s", len(set.Keys), firstProblem(set))
	}
	return ""
}

// firstProblem is the reason that comes first, for a sentence.
func firstProblem(set runbook.KeySet) string {
	for _, k := range set.Keys {
		if len(k.Problems) > 0 {
			return k.Problems[0]
		}
	}
	return "no reason is known"
}

// cutOff is an answer that began and did not end.
func (a *attempt) cutOff(err error) string {
	if isTimeout(err) {
		return fmt.Sprintf("its answer (HTTP %d) was not complete after %s: %d bytes came", a.probe.Status, a.limit, a.probe.Size)
	}
	return fmt.Sprintf("its answer (HTTP %d) broke off after %d bytes", a.probe.Status, a.probe.Size)
}

// fail sorts an error: an answer that is wrong, or no connection at all, which
// may be the fault of our own network.
func (e *Endpoint) fail(a *attempt, err error) {
	p, host, handshake := &a.probe, e.url.Hostname(), a.handshake.Load()
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		p.Problem = fmt.Sprintf("no connection: the name %q cannot be resolved", host)
	case errors.Is(err, context.Canceled):
		p.Problem = "no answer: the check was cancelled"
	case isTimeout(err):
		p.Problem = fmt.Sprintf("no answer from %q within %s", host, a.limit)
	case handshake != nil && !isNetwork(*handshake):
		p.Problem = tlsProblem(*handshake)
		return
	case a.connected.Load():
		p.Problem = fmt.Sprintf("%q took the connection and sent no valid HTTP answer", host)
		return
	default:
		p.Problem = fmt.Sprintf("no connection to %q: %s", hostPort(e.url), networkCause(err))
	}
	p.Unreachable = true
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// isNetwork says that a handshake ended because the connection did. An alert
// from the server also comes as a net.OpError, but it is an answer.
func isNetwork(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) && op.Op != "remote error"
}

// networkCause is the innermost error, which names neither URL nor query.
func networkCause(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return runbook.Clip(err.Error(), 200)
}

// tlsProblem says what is wrong with a server's TLS.
func tlsProblem(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return "TLS: its certificate is signed by an authority that is not trusted"
	case errors.As(err, &name):
		return fmt.Sprintf("TLS: its certificate is not for %q", runbook.Clip(name.Host, 100))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("TLS: its certificate is expired or not yet valid (%s to %s)",
			invalid.Cert.NotBefore.UTC().Format("2006-01-02"), invalid.Cert.NotAfter.UTC().Format("2006-01-02"))
	case errors.As(err, &record):
		return "TLS: it does not speak TLS on this port"
	}
	return "TLS: " + networkCause(err)
}
