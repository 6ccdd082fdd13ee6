// Package keys reads JSON Web Key Sets: at the URL where they are published
// ([Endpoint]), in the cache entries where applications keep copies ([Decode]),
// and in files ([Read]); and it says how two of them differ ([Compare]).
//
// # Words
//
// A document is text that should hold keys. Its shape says how they are
// wrapped: a set, a bare key, an array, JSON in a string, an envelope, PEM. A
// key is usable when a mainstream verifier can check a signature with it, and
// odd when it is usable with a problem noted. A thumbprint is that of RFC 7638
// over normalised numbers, so that a modulus written with a leading zero or
// with padding is the same key.
//
// # How a document is read
//
// By a scanner of our own (json.go) that keeps its own stack, so that depth
// costs a byte and never a stack frame, and that hands out the raw text of each
// key. Every key is then judged alone (key.go, numbers.go): one that is broken
// or of an unknown type is reported with its place and hides no other. The
// library jwx computes thumbprints, of one public key at a time, in one file
// (jwx.go); it never sees a document and never writes one.
//
// # Promises
//
//   - No input panics or hangs. What it may cost is a [runbook.Budget], charged
//     before anything is built; an entry that costs more is not decoded, and its
//     reading says so. What is beyond a limit is left out and said.
//   - A value of a private or symmetric member is never kept: not in a key, not
//     in a problem, not in a note.
//   - A problem is a sentence with its place: the key, its kid, the member.
//   - A probe is one request on a fresh connection and follows redirects on the
//     same host only.
//
// The package decides nothing: whether an odd key or a poisoned entry matters
// is the verdict's business.
package keys
