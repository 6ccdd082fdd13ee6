package keys

import (
	"crypto"
	"encoding/base64"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// jwxThumbprint returns the RFC 7638 SHA-256 thumbprint of one public key, ""
// when jwx refuses it. This is all that the program uses of jwx, which is
// frozen upstream: it never gets a document (its parser drops broken keys and
// accepts trailing text) and never writes one (GHSA-4cf7-xm37-g63h). A panic of
// the library is a refusal.
func jwxThumbprint(public any) (thumbprint string) {
	defer func() {
		if recover() != nil {
			thumbprint = ""
		}
	}()
	key, err := jwk.FromRaw(public)
	if err != nil {
		return ""
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}
