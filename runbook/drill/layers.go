package drill

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"
)

// This file holds what an authoriser may have beside the shared cache, all of
// it off unless a scenario's settings turn it on.

func kidNotFound(kid string) error {
	return fmt.Errorf("KidNotFoundInJwksError: JWK for kid %q not found in the JWKS", kid)
}

// refetch asks the identity provider for a kid that is not in the set. After a
// kid that is not there either, the environment may not ask again for a while,
// as with the penalty box of aws-jwt-verify.
func (a *authoriser) refetch(ctx context.Context, env *environment, at time.Time, kid string) (*rsa.PublicKey, error) {
	if at.Before(env.waitUntil) {
		return nil, errors.New("WaitPeriodNotYetEndedJwkError: Not allowed to fetch JWKS yet, still waiting for back off period to end")
	}
	document, err := a.fetchAndCache(ctx, at, a.settings.cacheTTL)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys([]byte(document))
	if err != nil {
		return nil, err
	}
	env.keep(keys, at.Add(a.settings.memoryTTL))
	if key, known := keys[kid]; known {
		return key, nil
	}
	env.waitUntil = at.Add(a.settings.refetchWait)
	if err := a.rememberAbsent(ctx, env, at, kid); err != nil {
		return nil, err
	}
	return nil, kidNotFound(kid)
}

// negativeName is the entry that says that a kid does not exist.
func negativeName(kid string) string { return "jwks:negative:" + kid }

// rememberAbsent writes down that the identity provider does not know a kid.
func (a *authoriser) rememberAbsent(ctx context.Context, env *environment, at time.Time, kid string) error {
	if a.settings.negativeTTL == 0 {
		return nil
	}
	env.absent[kid] = true
	ttl := a.left(at.Add(a.settings.negativeTTL), a.settings.negativeTTL)
	if err := a.store.set(ctx, negativeName(kid), "1", ttl); err != nil {
		return fmt.Errorf("JwksCacheError: SET %s: %w", negativeName(kid), err)
	}
	return nil
}

// isAbsent says whether somebody wrote that down. It asks the cache once per
// environment for as long as the set is kept in memory.
func (a *authoriser) isAbsent(ctx context.Context, env *environment, at time.Time, kid string) (bool, error) {
	if a.settings.negativeTTL == 0 {
		return false, nil
	}
	if absent, asked := env.absent[kid]; asked {
		return absent, nil
	}
	_, err := a.store.get(ctx, negativeName(kid))
	switch {
	case err == nil:
		a.record.count(at, func(m *minute) { m.hits++ })
	case errors.Is(err, errNil):
		a.record.count(at, func(m *minute) { m.misses++ })
	default:
		return false, fmt.Errorf("JwksCacheError: GET %s: %w", negativeName(kid), err)
	}
	env.absent[kid] = err == nil
	return err == nil, nil
}

// sealer encrypts what goes into the cache and decrypts it again, with a key that
// only the authoriser has. A nil sealer leaves both as they are.
type sealer struct{ aead cipher.AEAD }

// sealVersion stands before each sealed value.
const sealVersion = "\x01"

func newSealer() (*sealer, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &sealer{aead}, err
}

func (s *sealer) seal(document string) string {
	if s == nil {
		return document
	}
	return sealVersion + string(s.aead.Seal(nil, nil, []byte(document), nil))
}

func (s *sealer) open(value string) (string, error) {
	if s == nil {
		return value, nil
	}
	if len(value) < len(sealVersion) || value[:len(sealVersion)] != sealVersion {
		return "", errors.New("value is not sealed")
	}
	document, err := s.aead.Open(nil, nil, []byte(value[len(sealVersion):]), nil)
	return string(document), err
}
