package drill

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// This file holds the authoriser that caches each key in an entry of its own,
// and so holds no key that nobody has asked for.

// kidName is the entry of one key.
func kidName(kid string) string { return "jwks:kid:" + kid }

// keyOf looks a kid up in the environment's memory, in the cache, or at the
// identity provider, in this order.
func (a *authoriser) keyOf(ctx context.Context, env *environment, at time.Time, kid string) (*rsa.PublicKey, error) {
	if env.keys == nil || !at.Before(env.until) {
		env.keep(verifyKeys{}, at.Add(a.settings.memoryTTL))
	}
	if key, known := env.keys[kid]; known {
		return key, nil
	}
	document, err := a.store.get(ctx, kidName(kid))
	switch {
	case err == nil:
		a.record.count(at, func(m *minute) { m.hits++ })
	case errors.Is(err, errNil):
		a.record.count(at, func(m *minute) { m.misses++ })
		document, err = a.fetchOne(ctx, at, kid)
	default:
		err = fmt.Errorf("JwksCacheError: GET %s: %w", kidName(kid), err)
	}
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys([]byte(`{"keys":[` + document + `]}`))
	if err != nil {
		return nil, err
	}
	env.keys[kid] = keys[kid]
	return keys[kid], nil
}

// fetchOne asks the identity provider for its keys and caches the one.
func (a *authoriser) fetchOne(ctx context.Context, at time.Time, kid string) (string, error) {
	document, err := a.fetch(ctx)
	if err != nil {
		return "", err
	}
	if _, err := parseKeys([]byte(document)); err != nil {
		return "", err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal([]byte(document), &set); err != nil {
		return "", err // parseKeys has seen that it can be read
	}
	for _, raw := range set.Keys {
		var key struct {
			Kid string `json:"kid"`
		}
		if json.Unmarshal(raw, &key) != nil || key.Kid != kid {
			continue
		}
		if err := a.store.set(ctx, kidName(kid), string(raw), a.left(at.Add(a.settings.cacheTTL), a.settings.cacheTTL)); err != nil {
			return "", fmt.Errorf("JwksCacheError: SET %s: %w", kidName(kid), err)
		}
		return string(raw), nil
	}
	return "", kidNotFound(kid)
}

// describeKids fills in which of the live keys have an entry.
func (w *World) describeKids(ctx context.Context, s *State) {
	s.CacheKey = kidName("*")
	for _, kid := range s.LiveKids {
		if _, err := w.store.get(ctx, kidName(kid)); err == nil {
			s.CachedKids = append(s.CachedKids, kid)
		}
	}
	if len(s.CachedKids) == 0 {
		s.CacheNote = "no entry of a live key"
		return
	}
	if ttl, err := w.store.ttl(ctx, kidName(s.CachedKids[0])); err == nil {
		s.CachedTTL = int(ttl.Seconds())
	}
}
