package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
)

const (
	// maxCertificate is the longest certificate text that is parsed.
	maxCertificate = 64 << 10
	// certSteps and certBytes are what each byte of it costs.
	certSteps, certBytes = 64, 32
)

// leaf returns the canonical key of the first certificate in x5c, and what is
// wrong with the member; both are "" when there is none.
func (j *judge) leaf() (canonical, problem string) {
	raw := j.raw.get("x5c")
	switch {
	case len(raw) == 0 || isEmpty(raw):
		return "", ""
	case raw[0] != '[':
		return "", kind(raw) + ", not an array"
	}
	var first []byte
	elements(raw, func(v []byte) bool { first = v; return false })
	switch {
	case first[0] != '"':
		return "", "its first element is " + kind(first) + ", not a string"
	case len(first) > maxCertificate:
		return "", "its first certificate is too long"
	}
	if !j.budget.Steps(certSteps*len(first)) || !j.budget.Bytes(certBytes*len(first)) {
		return "", "its first certificate was not read"
	}
	// RFC 7517 section 4.7: plain base64, not base64url; white space is common.
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(unquote(first)), ""))
	if err != nil {
		return "", "its first certificate is not base64"
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "", "its first certificate cannot be parsed"
	}
	if canonical = canonicalOf(cert.PublicKey); canonical == "" {
		return "", "its first certificate holds a key of an unknown kind"
	}
	return canonical, ""
}

// compareCertificate notes a certificate that is about another key. Whether it
// is expired does not matter: verifiers use the numbers.
func (j *judge) compareCertificate(canonical string) {
	switch other, problem := j.leaf(); {
	case problem != "":
		j.odd("member x5c: %s", problem)
	case other != "" && other != canonical:
		j.odd("member x5c: disagrees: its certificate is for another key")
	}
}

// certificateOnly reads a key that is given by its certificate alone. Most
// verifiers need the numbers; the thumbprint can still be compared.
func (j *judge) certificateOnly() {
	canonical, problem := j.leaf()
	if problem != "" {
		j.refuse("member x5c: %s, and there are no numbers beside it", problem)
		return
	}
	j.refuse("member x5c: only a certificate, without the numbers that verifiers read")
	if canonical != "" {
		j.key.Thumbprint = hashThumbprint(canonical)
	}
}

// canonicalOf returns the RFC 7638 text of a public key, "" for unknown kinds.
func canonicalOf(public any) string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return canonicalRSA(key.N.Bytes(), big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		name := map[elliptic.Curve]string{elliptic.P256(): "P-256", elliptic.P384(): "P-384", elliptic.P521(): "P-521"}[key.Curve]
		if err != nil || name == "" {
			return ""
		}
		half := (len(point) - 1) / 2
		return canonicalEC(name, point[1:1+half], point[1+half:])
	case ed25519.PublicKey:
		return canonicalOKP("Ed25519", key)
	}
	return ""
}
