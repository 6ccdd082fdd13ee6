package drill

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// maxJWKS bounds what the authoriser reads from the identity provider.
const maxJWKS = 1 << 20

// environment is one Lambda execution environment: its log stream and the key
// set that it keeps in memory for a short while.
type environment struct {
	stream string
	used   bool // it has served a request, and so has a log stream
	keys   verifyKeys
	until  time.Time

	waitUntil time.Time       // no refetch before
	absent    map[string]bool // what is known of negative markers, by kid
}

// keep puts a set into memory and forgets what was known beside it.
func (e *environment) keep(keys verifyKeys, until time.Time) {
	e.keys, e.until, e.absent = keys, until, map[string]bool{}
}

// authoriser validates tokens as a Lambda authoriser in front of a shared
// cache does. It is used by one goroutine at a time.
type authoriser struct {
	settings     settings
	store        *store
	record       *record
	clock        interface{ Now() time.Time }
	keyName      string
	issuer, jwks string
	client       *http.Client
	rng          *rand.Rand
	function     *function
	serves       int // the number of the deployment that the environments belong to
	environments []*environment
	sealer       *sealer // nil: the cache holds plain text
	verifier     verifier

	// past is true while the hour before the start is played. What is written
	// to the cache then gets the TTL that is left of it today, and ends when
	// expire says so.
	past    bool
	expires time.Time
}

func newAuthoriser(w *World, rng *rand.Rand) *authoriser {
	a := &authoriser{
		settings: w.settings, store: w.store, record: w.record, clock: w.clock, rng: rng,
		function: w.function, serves: -1, keyName: w.opts.KeyName, issuer: w.idp.issuer, jwks: w.idp.jwksURL(), past: true,
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	a.recycle(w.clock.Now())
	return a
}

// recycle gives the authoriser new execution environments, with new log streams
// and nothing in memory, when the function says that the ones it has are not used
// any more.
func (a *authoriser) recycle(at time.Time) {
	d := a.function.invoked(at)
	if d.number == a.serves {
		return
	}
	a.serves, a.environments = d.number, nil
	for range a.settings.environments {
		stream := at.UTC().Format("2006/01/02") + "/[" + d.version + "]" + hexID(a.rng, 16)
		a.environments = append(a.environments, &environment{stream: stream})
	}
}

// authorise says whether the token is good at that time, and leaves a log line
// about it. An end of ctx is no verdict on the token: ok is false and nothing
// is logged.
func (a *authoriser) authorise(ctx context.Context, at time.Time, raw string) (ok bool) {
	a.recycle(at)
	return a.authoriseIn(ctx, a.environments[a.rng.IntN(len(a.environments))], at, raw)
}

func (a *authoriser) authoriseIn(ctx context.Context, env *environment, at time.Time, raw string) (ok bool) {
	if !env.used {
		env.used = true
		a.record.started(at, env.stream)
	}
	t, err := a.validate(ctx, env, at, raw)
	if ctx.Err() != nil {
		return false
	}
	a.record.count(at, func(m *minute) {
		if m.invocations++; err != nil {
			m.errors++
		}
	})
	line := logLine{at: at, request: uuid(a.rng), stream: env.stream}
	if err != nil {
		line.level, line.text = "ERROR", err.Error()
		a.record.log(line)
		return false
	}
	line.level, line.text = "INFO", eventText(SuccessPattern, t.header.Kid, "")
	a.record.log(line)
	return true
}

// validate is the authoriser's code. The issuer comes first, as in
// aws-jwt-verify: the keys of another one are none of its business.
func (a *authoriser) validate(ctx context.Context, env *environment, at time.Time, raw string) (token, error) {
	t, err := parseToken(raw)
	if err == nil {
		err = t.checkIssuer(a.issuer)
	}
	if err != nil {
		return t, err
	}
	key, err := a.key(ctx, env, at, t.header.Kid)
	if err != nil {
		return t, err
	}
	if !a.verifier.good(t, key) {
		return t, errors.New(eventText("invalid_signature", t.header.Kid, "JwtInvalidSignatureError: Invalid signature"))
	}
	return t, t.checkClaims(at)
}

// key looks a kid up. One that is not in the cached set is refused without
// asking the identity provider again, unless the settings have it otherwise:
// that is the bug.
func (a *authoriser) key(ctx context.Context, env *environment, at time.Time, kid string) (*rsa.PublicKey, error) {
	if a.settings.perKid {
		return a.keyOf(ctx, env, at, kid)
	}
	keys, err := a.keys(ctx, env, at)
	if err != nil {
		return nil, err
	}
	absent, err := a.isAbsent(ctx, env, at, kid)
	if err != nil {
		return nil, err
	}
	key, known := keys[kid]
	switch {
	case absent, !known && a.settings.refetchWait == 0:
		return nil, kidNotFound(kid)
	case known:
		return key, nil
	}
	return a.refetch(ctx, env, at, kid)
}

// keys returns the set of the environment's memory, of the cache, or of the
// identity provider, in this order.
func (a *authoriser) keys(ctx context.Context, env *environment, at time.Time) (verifyKeys, error) {
	if env.keys != nil && at.Before(env.until) {
		return env.keys, nil
	}
	document, err := a.store.get(ctx, a.keyName)
	switch {
	case errors.Is(err, errNil):
		a.record.count(at, func(m *minute) { m.misses++ })
		document, err = a.fetchAndCache(ctx, at, a.settings.cacheTTL)
	case err == nil:
		a.record.count(at, func(m *minute) { m.hits++ })
		if document, err = a.sealer.open(document); err != nil {
			err = fmt.Errorf("JwksCacheError: GET %s: %w", a.keyName, err)
		}
	default:
		err = fmt.Errorf("JwksCacheError: GET %s: %w", a.keyName, err)
	}
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys([]byte(document))
	if err != nil {
		return nil, err
	}
	env.keep(keys, at.Add(a.settings.memoryTTL))
	return keys, nil
}

// fill puts the present set into the cache, as an earlier request did. Entries
// of single keys come with the requests that need them.
func (a *authoriser) fill(ctx context.Context, at time.Time, ttl time.Duration) error {
	if a.settings.perKid {
		return nil
	}
	_, err := a.fetchAndCache(ctx, at, ttl)
	return err
}

// fetchAndCache caches whatever came with status 200, as it came. Not looking
// at it, unless the settings say so, is what lets a maintenance page into a
// cache.
func (a *authoriser) fetchAndCache(ctx context.Context, at time.Time, ttl time.Duration) (string, error) {
	document, err := a.fetch(ctx)
	if err != nil {
		return "", err
	}
	if a.settings.careful {
		if _, err := parseKeys([]byte(document)); err != nil {
			return "", err
		}
	}
	a.expires = at.Add(ttl)
	if err := a.store.set(ctx, a.keyName, a.sealer.seal(document), a.left(a.expires, ttl)); err != nil {
		return "", fmt.Errorf("JwksCacheError: SET %s: %w", a.keyName, err)
	}
	return document, nil
}

// left is the TTL to write for something that expires then: while the past is
// played, what is left of it at the present.
func (a *authoriser) left(expires time.Time, ttl time.Duration) time.Duration {
	if !a.past {
		return ttl
	}
	if left := expires.Sub(a.clock.Now()); left > 0 {
		return left
	}
	return pastLength // over before the present: expire ends it
}

func (a *authoriser) fetch(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.jwks, nil)
	if err != nil {
		return "", fmt.Errorf("FetchError: Failed to fetch %s: %w", a.jwks, err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("FetchError: Failed to fetch %s: %w", a.jwks, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("NonRetryableFetchError: Failed to fetch %s: Status code is %d, expected 200", a.jwks, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS))
	if err != nil {
		return "", fmt.Errorf("FetchError: Failed to fetch %s: %w", a.jwks, err)
	}
	return string(body), nil
}

// expire deletes the entry when its time is over in the past that is played.
func (a *authoriser) expire(ctx context.Context, at time.Time) error {
	if a.expires.IsZero() || at.Before(a.expires) || !a.past {
		return nil
	}
	a.expires = time.Time{}
	return a.store.del(ctx, a.keyName)
}

// eventText is a structured log line's JSON.
func eventText(event, kid, message string) string {
	b, _ := json.Marshal(struct {
		Event   string `json:"event"`
		Kid     string `json:"kid"`
		Message string `json:"error,omitempty"`
	}{event, kid, message}) // strings only: cannot fail
	return string(b)
}
