package keys

import (
	"fmt"
	"slices"
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
)

// problemEncryption marks a key that is not for signatures: it cannot be used
// to check one, and nothing is wrong with that.
const problemEncryption = "encryption key"

// judged is one key with what its document has to know of it.
type judged struct {
	key        runbook.Key
	private    bool
	symmetric  bool
	encryption bool
}

// judge collects what is said of one key.
type judge struct {
	judged
	raw     rawKey
	budget  *budget.Budget
	refused bool // a fault that makes the key unusable
	many    bool // one of thousands: time counts
	notes   []string
}

// odd notes something that a verifier gets along with.
func (j *judge) odd(format string, args ...any) {
	j.notes = append(j.notes, fmt.Sprintf(format, args...))
}

// refuse notes something because of which no verifier can use the key.
func (j *judge) refuse(format string, args ...any) {
	j.refused = true
	j.odd(format, args...)
}

// origin says how a key came to be read, where its text alone does not tell.
type origin struct {
	index int    // position in the document, from 1
	kid   string // the name that its container gives it
	pem   bool   // built from PEM, which has no place for a kid
}

// readKey judges the raw text of one key.
func readKey(b *budget.Budget, raw []byte, from origin) judged {
	j := &judge{budget: b}
	if len(raw) == 0 || raw[0] != '{' {
		j.refuse("%s, not an object", kind(raw))
		return j.done(from)
	}
	j.raw, j.many = splitKey(raw), from.index > manyKeys
	j.readKid(from)
	j.readNames()
	j.readSecrets()
	j.readNumbers()
	j.key.Metadata = j.raw.metadata(b)
	j.readPurpose()
	slices.Sort(j.raw.twice)
	for _, name := range j.raw.twice {
		j.odd("member %s: appears more than once, the last one counts", runbook.Clip(name, 60))
	}
	if j.raw.more {
		j.odd("more than %d members: not all of them were looked at", maxMembers)
	}
	return j.done(from)
}

// done puts the place before each note.
func (j *judge) done(from origin) judged {
	j.key.Problems = make([]string, 0, len(j.notes))
	if len(j.notes) > 0 { // most keys have none, and a set may have thousands
		place := placeOf(from.index, j.key.Kid)
		for _, note := range j.notes {
			j.key.Problems = append(j.key.Problems, place+": "+note)
		}
	}
	j.key.Usable = !j.refused && !j.encryption && !j.symmetric
	return j.judged
}

// placeOf names a key for people.
func placeOf(index int, kid string) string {
	if kid == "" {
		return fmt.Sprintf("key %d", index)
	}
	return fmt.Sprintf("key %d (kid %q)", index, runbook.Clip(kid, 80))
}

func (j *judge) readKid(from origin) {
	raw := j.raw.get("kid")
	switch {
	case len(raw) == 0 || isEmpty(raw) && raw[0] != '[' && raw[0] != '{':
		j.key.Kid = from.kid
		if from.kid == "" && !from.pem {
			j.odd("member kid: missing kid, tokens cannot name this key")
		}
	case raw[0] != '"':
		j.refuse("member kid: a kid that is not a string (%s)", kind(raw))
	default:
		j.key.Kid = unquote(raw)
	}
}

func (j *judge) readNames() {
	for _, m := range []struct {
		name string
		to   *string
	}{{"kty", &j.key.Kty}, {"alg", &j.key.Alg}, {"use", &j.key.Use}} {
		value, problem := j.raw.text(m.name)
		if *m.to = value; problem != "" {
			j.refuse("%s", problem)
		}
	}
}

func (j *judge) readSecrets() {
	for _, name := range j.raw.private {
		j.private = true
		j.odd("member %s: private key material is published", name)
	}
	for _, name := range j.raw.hollow {
		j.odd("member %s: a private member, present but empty; some libraries refuse the key for it", name)
	}
	if j.key.Kty == "oct" || j.raw.secret {
		j.symmetric = true
		j.odd("symmetric key: whoever can read it can forge tokens")
	}
}

// readNumbers reads the key itself, by its type.
func (j *judge) readNumbers() {
	if j.symmetric {
		return
	}
	switch j.key.Kty {
	case "RSA":
		j.readRSA()
	case "EC":
		j.readEC()
	case "OKP":
		j.readOKP()
	case "AKP":
		j.readAKP()
	case "":
		if _, problem := j.raw.text("kty"); problem == "" {
			j.refuse("member kty: missing")
		}
		if len(j.raw.get("x5c")) > 0 {
			j.certificateOnly()
		}
	default:
		j.refuse("member kty: key type %q is unknown to mainstream verifiers", j.key.Kty)
	}
}

// keep records a number as it was written.
func (j *judge) keep(name, text string) {
	if j.key.Numbers == nil {
		j.key.Numbers = make(map[string]string, 3)
	}
	j.key.Numbers[name] = text
}

// numberBytes is the memory for each byte of a number that is oddly written.
const numberBytes = 16

// number reads one number member and notes what is odd about it; ok is false
// when there is nothing to go on with.
func (j *judge) number(name string) (n number, ok bool) {
	raw := j.raw.get(name)
	if len(raw) <= maxNumber && !j.budget.Bytes(numberBytes*len(raw)) {
		return n, false
	}
	n = readNumber(raw)
	if n.text != "" {
		j.keep(name, n.text)
	}
	if n.problem != "" {
		j.refuse("member %s: %s", name, n.problem)
		return n, false
	}
	if len(n.odd) > 0 {
		j.odd("member %s: not canonical base64url: %s", name, strings.Join(n.odd, ", "))
	}
	return n, true
}
