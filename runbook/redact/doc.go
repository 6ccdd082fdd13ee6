// Package redact keeps secrets out of everything that is shown, logged or kept:
// [Text] replaces tokens, keys and passwords in any text by what they were, [URLs]
// hides the passwords of URLs, and a [Secret] prints as hidden.
//
// It would rather hide too much: an unknown form after a name such as "password"
// is hidden, too. It knows nothing of the domain and imports the standard library
// only; every package may import it.
package redact
