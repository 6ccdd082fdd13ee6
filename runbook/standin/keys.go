package standin

import (
	"fmt"
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
)

// Key is a usable RSA key; equal material has an equal thumbprint.
func Key(kid, material string) runbook.Key {
	return runbook.Key{Kid: kid, Thumbprint: "tp-" + material, Kty: "RSA", Alg: "RS256", Use: "sig", Usable: true, Problems: []string{},
		Numbers: map[string]string{"n": material, "e": "AQAB"}, Metadata: map[string]string{"use": `"sig"`, "alg": `"RS256"`}}
}

// Set makes a key set of "kid=material" words.
func Set(words ...string) runbook.KeySet {
	s := runbook.KeySet{Shape: runbook.ShapeSet, Keys: []runbook.Key{}, Problems: []string{}}
	for _, w := range words {
		kid, material, _ := strings.Cut(w, "=")
		s.Keys = append(s.Keys, Key(kid, material))
	}
	s.Usable = len(s.Keys)
	return s
}

// Decode reads the values that tests put into the cache: "keys a=1 b=2" is a
// key set, "jwk a=1" one key, "no a" a negative marker, "<…" a web page.
func Decode(e runbook.RawEntry, _ *budget.Budget) runbook.Reading {
	words := strings.Fields(string(e.Value))
	empty := runbook.KeySet{Shape: runbook.ShapeUnreadable, Keys: []runbook.Key{}, Problems: []string{}}
	switch {
	case len(words) == 0 || len(words) == 1 && words[0] == "keys":
		return runbook.Reading{Format: "test set", Content: runbook.ContentEmpty, Set: empty, Note: "an empty key set"}
	case words[0] == "keys":
		return runbook.Reading{Format: "test set", Content: runbook.ContentKeys, Set: Set(words[1:]...)}
	case words[0] == "jwk":
		s := Set(words[1])
		s.Shape = runbook.ShapeJWK
		return runbook.Reading{Format: "test key", Content: runbook.ContentKeys, Set: s, Kid: s.Keys[0].Kid}
	case words[0] == "no":
		return runbook.Reading{Format: "test marker", Content: runbook.ContentNegative, Set: empty, Kid: words[1]}
	case strings.HasPrefix(words[0], "<"):
		return runbook.Reading{Format: "text", Content: runbook.ContentPoison, Set: empty, Note: "an HTML page"}
	}
	return runbook.Reading{Format: "unknown", Content: runbook.ContentUnknown, Set: empty, Note: fmt.Sprintf("%d strange bytes", len(e.Value))}
}
