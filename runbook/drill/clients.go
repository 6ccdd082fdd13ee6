package drill

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"time"
)

// otherIssuer is a user pool whose tokens and keys are none of this world's.
const (
	otherPool   = "eu-west-2_Other0001"
	otherIssuer = "https://cognito-idp." + Region + ".amazonaws.com/" + otherPool
)

// oddClients are clients whose tokens are at fault, not the keys: a share of
// all requests, and the token that they send at a time.
type oddClients struct {
	share float64
	due   float64 // of the next such request; 1 is a whole one
	token func(at time.Time) (string, error)
}

// turn says whether the next request is one of theirs. They come evenly, since
// a share that is drawn by lot would differ from minute to minute and from
// world to world.
func (c *oddClients) turn() bool {
	if c.due += c.share; c.due < 1 {
		return false
	}
	c.due--
	return true
}

// oddly makes clients turn up that send what tokens returns, as a share of all
// requests.
func oddly(share float64, tokens func(w *World) (func(at time.Time) (string, error), error)) func(context.Context, *World, time.Time) error {
	return func(_ context.Context, w *World, _ time.Time) (err error) {
		w.gateway.odd.share = share
		w.gateway.odd.token, err = tokens(w)
		return err
	}
}

// reused lets one token serve for pastTokenAge, since signing takes its time.
func reused(issue func(at time.Time) (string, error)) func(at time.Time) (string, error) {
	var token string
	var until time.Time
	return func(at time.Time) (_ string, err error) {
		if at.Before(until) {
			return token, nil
		}
		until = at.Add(pastTokenAge)
		token, err = issue(at)
		return token, err
	}
}

// expiredTokens are good in all but their age, as of an app that never signs in
// again.
func expiredTokens(w *World) (func(at time.Time) (string, error), error) {
	user := uuid(w.gateway.rng)
	return reused(func(at time.Time) (string, error) {
		return w.idp.issue(user, uuid(w.gateway.rng), at.Add(-tokenLifetime-5*time.Minute))
	}), nil
}

// otherPoolTokens are good tokens of another user pool.
func otherPoolTokens(w *World) (func(at time.Time) (string, error), error) {
	other, err := w.otherProvider()
	if err != nil {
		return nil, err
	}
	user := uuid(w.gateway.rng)
	return reused(func(at time.Time) (string, error) { return other.issue(user, uuid(w.gateway.rng), at) }), nil
}

// otherProvider is another user pool, with a key of its own.
func (w *World) otherProvider() (*provider, error) {
	key, err := w.idp.takeSpare()
	if err != nil {
		return nil, err
	}
	other := newProvider()
	other.issuer, other.signing, other.published = otherIssuer, key, keySet{key}
	return other, nil
}

// junkTokens name a new kid each, which nobody has ever published.
func junkTokens(w *World) (func(at time.Time) (string, error), error) {
	return func(at time.Time) (string, error) {
		return unverifiable(w.idp.issuer, tokenHeader{Kid: newKid(), Alg: "RS256"}, keyBits/8, at), nil
	}, nil
}

// newKindTokens name the newest key of the published set, and are signed with
// its algorithm: by a user who was moved to it early.
func newKindTokens(w *World) (func(at time.Time) (string, error), error) {
	header := tokenHeader{Kid: w.idp.state().kids[0], Alg: algMLDSA65}
	return func(at time.Time) (string, error) {
		return unverifiable(w.idp.issuer, header, signatureMLDSA65, at), nil
	}, nil
}

// unverifiable is a token whose signature nobody will get to check: random
// bytes of the right length.
func unverifiable(issuer string, header tokenHeader, signature int, at time.Time) string {
	h, _ := json.Marshal(header) // strings only: cannot fail
	claims, _ := json.Marshal(tokenClaims{
		Sub: "unknown", Iss: issuer, ClientID: clientID, TokenUse: "access", Scope: "openid",
		AuthTime: at.Unix(), Iat: at.Unix(), Exp: at.Add(tokenLifetime).Unix(), Username: "unknown",
	})
	sig := make([]byte, signature)
	_, _ = rand.Read(sig) // never fails
	enc := base64.RawURLEncoding
	return enc.EncodeToString(h) + "." + enc.EncodeToString(claims) + "." + enc.EncodeToString(sig)
}
