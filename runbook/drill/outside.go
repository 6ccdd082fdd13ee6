package drill

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Names and secrets of what is outside of AWS: the paging service, the portal
// with the flush button, and the app client whose token proves a sign-in.
const (
	PagerDutyKey      = "d0r1i2l3l4k5e6y7d0r1i2l3l4k5e6y7"
	BridgeToken       = "drill-bridge-token"
	BridgeTarget      = "oidc-cache"
	BridgeEnvironment = "production"
	ClientSecret      = "drill-client-secret"
	ClientID          = clientID
)

// Incident is one incident at the paging service, with its history.
type Incident struct {
	Key      string    `json:"key"`
	Summary  string    `json:"summary"`
	Triggers int       `json:"triggers"` // events that were folded into it
	Open     bool      `json:"open"`
	OpenedAt time.Time `json:"opened_at"`
}

// Order is one press of the portal's button, and what it really did.
type Order struct {
	Ticket, Reason string
	Deleted        int // entries
}

// outside serves everything that is not AWS and not the identity provider's
// keys.
type outside struct {
	world *World

	mu        sync.Mutex
	incidents []Incident
	orders    []Order
}

func (o *outside) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /pagerduty/v2/enqueue", o.enqueue)
	mux.HandleFunc("POST /commandbridge/actions/execute", o.execute)
	mux.HandleFunc("POST /oauth2/token", o.token)
	mux.HandleFunc("GET /orders", o.protected)
	return mux
}

// enqueue is the Events API v2 of PagerDuty: events of one key are one incident
// until it is resolved.
func (o *outside) enqueue(rw http.ResponseWriter, r *http.Request) {
	var event struct {
		Key     string                                      `json:"routing_key"`
		Action  string                                      `json:"event_action"`
		Dedup   string                                      `json:"dedup_key"`
		Payload *struct{ Summary, Source, Severity string } `json:"payload"`
	}
	var wrong []string
	switch err := json.NewDecoder(io.LimitReader(r.Body, 512<<10)).Decode(&event); {
	case err != nil:
		wrong = append(wrong, "event is not JSON")
	case event.Key != PagerDutyKey:
		wrong = append(wrong, "Invalid routing key")
	case !slices.Contains([]string{"trigger", "acknowledge", "resolve"}, event.Action):
		wrong = append(wrong, "'event_action' must be one of trigger, acknowledge, resolve")
	case event.Action != "trigger" && event.Dedup == "":
		wrong = append(wrong, "'dedup_key' is required")
	case event.Action == "trigger" && (event.Payload == nil || event.Payload.Summary == "" || event.Payload.Source == ""):
		wrong = append(wrong, "'payload.summary' and 'payload.source' are required")
	case event.Action == "trigger" && !slices.Contains([]string{"critical", "error", "warning", "info"}, event.Payload.Severity):
		wrong = append(wrong, "'payload.severity' is invalid")
	}
	if wrong != nil {
		writeJSON(rw, http.StatusBadRequest, map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": wrong})
		return
	}
	summary := ""
	if event.Payload != nil {
		summary = event.Payload.Summary
	}
	o.record(event.Action, event.Dedup, summary)
	writeJSON(rw, http.StatusAccepted, map[string]string{"status": "success", "message": "Event processed", "dedup_key": event.Dedup})
}

func (o *outside) record(action, key, summary string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.incidents, func(i Incident) bool { return i.Open && i.Key == key })
	switch {
	case action == "resolve" && i >= 0:
		o.incidents[i].Open = false
	case action == "trigger" && i >= 0:
		o.incidents[i].Triggers++
	case action == "trigger":
		o.incidents = append(o.incidents, Incident{Key: key, Summary: summary, Triggers: 1, Open: true, OpenedAt: o.world.clock.Now().UTC()})
	}
}

// bridgeTicket is what the portal takes.
var bridgeTicket = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(INC|CHG)-[\w-]+$`)
})

// execute is the portal's button. In some worlds it says "flushed" and does
// nothing, as the real one was seen to do.
func (o *outside) execute(rw http.ResponseWriter, r *http.Request) {
	var order struct{ Action, Ticket, Reason, Target, Environment string }
	refuse := func(status int, text string) {
		writeJSON(rw, status, map[string]any{"success": false, "error": text})
	}
	switch err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&order); {
	case r.Header.Get("Authorization") != "Bearer "+BridgeToken:
		refuse(http.StatusUnauthorized, "unauthorized")
		return
	case err != nil:
		refuse(http.StatusBadRequest, "body is not JSON")
		return
	case order.Action != "flush-token-cache":
		refuse(http.StatusNotFound, "unknown action")
		return
	case !bridgeTicket().MatchString(order.Ticket), order.Reason == "":
		refuse(http.StatusUnprocessableEntity, "a ticket (INC-… or CHG-…) and a reason are required")
		return
	case order.Target != BridgeTarget || order.Environment != BridgeEnvironment:
		refuse(http.StatusForbidden, "no such target in this environment")
		return
	}
	deleted := 0
	if !o.world.settings.bridgeLies {
		if _, err := o.world.store.get(r.Context(), o.world.opts.KeyName); err == nil {
			deleted = 1
		}
		if err := o.world.store.del(r.Context(), o.world.opts.KeyName); err != nil {
			refuse(http.StatusInternalServerError, "cache not reached")
			return
		}
	}
	o.mu.Lock()
	o.orders = append(o.orders, Order{order.Ticket, order.Reason, deleted})
	o.mu.Unlock()
	writeJSON(rw, http.StatusOK, map[string]any{"success": true, "message": "OIDC token cache flushed"})
}

// token is the identity provider's token endpoint, for the client-credentials
// grant (RFC 6749 section 4.4).
func (o *outside) token(rw http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(rw, r.Body, 64<<10)
	id, secret, ok := r.BasicAuth()
	switch {
	case !ok || id != ClientID || secret != ClientSecret:
		writeJSON(rw, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	case r.FormValue("grant_type") != "client_credentials":
		writeJSON(rw, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
		return
	}
	raw, err := o.world.idp.issue(ClientID, newKid(), o.world.clock.Now())
	if err != nil {
		writeJSON(rw, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	writeJSON(rw, http.StatusOK, map[string]any{"access_token": raw, "token_type": "Bearer", "expires_in": int(tokenLifetime.Seconds())})
}

// protected is an API behind the gateway; a call of it is traffic like any
// other.
func (o *outside) protected(rw http.ResponseWriter, r *http.Request) {
	raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		writeJSON(rw, http.StatusUnauthorized, map[string]string{"message": "Unauthorized"})
		return
	}
	status := o.world.gateway.call(r.Context(), o.world.clock.Now(), raw)
	text := map[int]string{http.StatusOK: "ok", http.StatusUnauthorized: "Unauthorized", http.StatusForbidden: "User is not authorized to access this resource"}[status]
	writeJSON(rw, status, map[string]string{"message": text})
}

// PagerDutyURL is the base of the paging service's Events API.
func (w *World) PagerDutyURL() string { return w.outsideServer.url + "/pagerduty" }

// BridgeURL is the base of the portal with the flush button.
func (w *World) BridgeURL() string { return w.outsideServer.url + "/commandbridge" }

// TokenURL gives tokens to the app client for its secret.
func (w *World) TokenURL() string { return w.outsideServer.url + "/oauth2/token" }

// ProtectedURL answers 200 to a token that the gateway accepts.
func (w *World) ProtectedURL() string { return w.outsideServer.url + "/orders" }

// ViaBridge says that this world's flushes are meant to go through the portal.
func (w *World) ViaBridge() bool { return w.settings.bridge }

// Incidents are those at the paging service, oldest first.
func (w *World) Incidents() []Incident {
	w.outside.mu.Lock()
	defer w.outside.mu.Unlock()
	return slices.Clone(w.outside.incidents)
}

// Orders are the presses of the portal's button, oldest first.
func (w *World) Orders() []Order {
	w.outside.mu.Lock()
	defer w.outside.mu.Unlock()
	return slices.Clone(w.outside.orders)
}
