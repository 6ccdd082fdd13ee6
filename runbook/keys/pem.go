package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
)

const (
	// maxBlocks is the number of PEM blocks that are read from one text.
	maxBlocks = 1000
	// pemSteps and pemBytes are what each byte of PEM text costs.
	pemSteps, pemBytes = 32, 8
)

var pemBegin = []byte("-----BEGIN ")

// pem reads public keys and certificates; an error says that there were none.
func (d *document) pem(text []byte, kid string) error {
	if !d.budget.Steps(pemSteps*len(text)) || !d.budget.Bytes(pemBytes*len(text)) {
		return errSpent
	}
	for blocks := 0; ; blocks++ {
		start := bytes.Index(text, pemBegin)
		if start < 0 {
			return nil
		}
		if blocks == maxBlocks {
			d.problem("more than %d PEM blocks: the rest was not read", maxBlocks)
			return nil
		}
		block, rest := pem.Decode(text[start:])
		if block == nil {
			if blocks == 0 {
				d.nature = natureCut
				return errors.New("PEM that is damaged or cut off")
			}
			d.problem("PEM block %d is damaged or cut off", blocks+1)
			return nil
		}
		if !affordKey(d.budget, block.Bytes) {
			return errSpent
		}
		d.add(readBlock(d.budget, block, origin{index: len(d.set.Keys) + 1, kid: kid, pem: true}))
		text = rest
	}
}

func readBlock(b *budget.Budget, block *pem.Block, from origin) judged {
	var public any
	var err error
	switch {
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return refusedPEM(from, true, "a private key is published (PEM)")
	case block.Type == "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = cert.PublicKey
		}
	default:
		return refusedPEM(from, false, fmt.Sprintf("a PEM block of type %q holds no public key", runbook.Clip(block.Type, 40)))
	}
	if err != nil {
		return refusedPEM(from, false, "the PEM block does not hold what it says")
	}
	canonical := canonicalOf(public)
	if canonical == "" {
		return refusedPEM(from, false, "the PEM block holds a key of an unknown kind")
	}
	return readKey(b, []byte(canonical), from)
}

func refusedPEM(from origin, private bool, note string) judged {
	j := &judge{}
	j.key.Kid, j.private = from.kid, private
	j.refuse("%s", note)
	return j.done(from)
}
