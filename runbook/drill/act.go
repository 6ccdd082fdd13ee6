package drill

import (
	"fmt"
	"slices"
	"strings"
)

// Rotate changes the signing keys now.
func (w *World) Rotate(r Rotation) error {
	return w.idp.rotate(w.clock.Now(), r)
}

// Break puts the JWKS endpoint into one of the bad states that the IDP
// constants name; "" is IDPUnavailable.
func (w *World) Break(health string) error {
	bad := []string{IDPUnavailable, IDPHTML, IDPFlapping, IDPDisagreeing}
	health = orDefault(health, IDPUnavailable)
	if !slices.Contains(bad, health) {
		return fmt.Errorf("break identity provider: unknown health %q: use one of %s", health, strings.Join(bad, ", "))
	}
	w.idp.setHealth(health)
	return nil
}

// Heal makes the JWKS endpoint answer properly again. It leaves the cache as
// it is.
func (w *World) Heal() { w.idp.setHealth(IDPHealthy) }

// Fail makes the AWS endpoints refuse or slow down calls from now on. The zero
// value ends that.
func (w *World) Fail(f Faults) { w.aws.setFaults(f) }
