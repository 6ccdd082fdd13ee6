package cache

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// serverError is a failure of one server: text for operators, cause inside.
type serverError struct {
	addr string
	text string
	err  error
}

func (e *serverError) Error() string { return fmt.Sprintf("redis %q: %s", e.addr, e.text) }
func (e *serverError) Unwrap() error { return e.err }

// handshakeError is a failure after the connection and before TLS.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// explain says what happened to op on the server, and what to do next. What no
// repetition can change is a [runbook.Denied].
func (p *primary) explain(op string, err error) error {
	var known *serverError
	if err == nil || errors.As(err, &known) {
		return err
	}
	text := explainReply(op, err)
	if text == "" {
		text = explainNetwork(op, err)
	}
	failed := &serverError{p.addr, text, err}
	if isDenied(err) || redis.IsReadOnlyError(err) && !p.wasMaster() {
		return &runbook.Denied{Err: failed}
	}
	return failed
}

// isDenied says that the user may not, or that the command is switched off.
func isDenied(err error) bool {
	var reply redis.Error
	return redis.IsPermissionError(err) ||
		errors.As(err, &reply) && (strings.Contains(reply.Error(), unknownCommand) || deniesScript(reply.Error()))
}

// deniesScript says that a command within a script is not permitted to the user
// who runs it.
func deniesScript(text string) bool {
	return strings.Contains(text, "can't run this command") || strings.Contains(text, "can't access at least one of the keys")
}

// unknownCommand is what servers of every make answer to one.
const unknownCommand = "unknown command"

// explainReply covers what a server answers; "" for anything else.
func explainReply(op string, err error) string {
	var made *authError
	if errors.As(err, &made) {
		return made.Error()
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return ""
	}
	text := reply.Error()
	_, moved := redis.IsMovedError(err)
	_, ask := redis.IsAskError(err)
	switch {
	case strings.Contains(text, unknownCommand):
		// The server repeats the arguments: a password, a token, a value.
		named, _, _ := strings.Cut(text, ", with args")
		return fmt.Sprintf("%s: %s: it is renamed or switched off here (parameter group rename-commands), or a proxy does not know it", op, named)
	case strings.Contains(text, "WRONGPASS"):
		return "user name, password or token refused: check cache.username and cache.auth; IAM needs elasticache:Connect on the cache and on the user, whose name must equal its id"
	case strings.Contains(text, "NOAUTH"), strings.Contains(text, "without any password configured"):
		return "authentication does not fit: check cache.auth, cache.username and the password: " + text
	case redis.IsPermissionError(err), deniesScript(text):
		return fmt.Sprintf("%s: the user may not do this (%s): give it the rule that is printed by: jwksbot iam-policy", op, text)
	case redis.IsReadOnlyError(err):
		return op + ": it is a replica now (READONLY): nothing was changed on it; if this persists, point cache.url at the primary"
	case moved, ask:
		return op + ": the cluster is moving slots: try again when the resharding has ended: " + text
	case redis.IsClusterDownError(err):
		return op + ": the cluster is down: look at its health first: " + text
	case redis.IsLoadingError(err):
		return op + ": it is still loading its data: try again in a minute"
	}
	return op + ": " + text
}

// explainNetwork covers what happens on the way to a server.
func explainNetwork(op string, err error) string {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var handshake *handshakeError
	var step *net.OpError
	dialing := errors.As(err, &step) && step.Op == "dial"
	switch {
	case errors.Is(err, context.Canceled):
		return op + ": stopped: " + err.Error()
	case errors.Is(err, errFlood):
		return fmt.Sprintf("%s: its answer is longer than %d MiB and was not read: look for names or values of that size under cache.keys", op, maxAnswer>>20)
	case errors.As(err, &dns):
		return fmt.Sprintf("no such host (%v): does the bot run in the cache's VPC?", dns)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: is the bot in the cache's security group, and the port right?"
	case errors.As(err, &record):
		return "answered without TLS: it has no encryption in transit (redis://, not rediss://)"
	case errors.As(err, &authority):
		return "certificate signed by an unknown authority: set AWS_CA_BUNDLE to the authority's certificate"
	case errors.As(err, &hostname):
		return "certificate is for another host: " + hostname.Error()
	case errors.As(err, &handshake):
		return fmt.Sprintf("no TLS (%v): has it encryption in transit? If not, it is redis://, not rediss://", handshake)
	case dialing && isTimeout(err):
		return "no connection in time: is the bot in the cache's security group and VPC?"
	case isTimeout(err):
		return op + ": no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return op + ": connection closed by the server: does it want TLS (rediss://), or was it restarted?"
	}
	return op + ": " + err.Error()
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// isMoved says that a server has another role or other slots than discovered.
func isMoved(err error) bool {
	_, moved := redis.IsMovedError(err)
	_, ask := redis.IsAskError(err)
	return moved || ask || errors.Is(err, errDemoted) || errors.Is(err, errReplicaNow) || redis.IsReadOnlyError(err) || redis.IsMasterDownError(err)
}

// isUnreachable says that a connection broke or could not be made, for other
// reasons than the caller's own deadline.
func isUnreachable(err error) bool {
	var n net.Error
	return err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		(errors.Is(err, io.EOF) || errors.As(err, &n) || errors.Is(err, syscall.ECONNRESET))
}
