// Package budget bounds what reading untrusted bytes may cost: a [Budget] of
// bytes, values, steps and time is charged before anything is built, by all
// decoders alike, for one entry and for a whole check.
//
// What is spent stays spent and says why, so that an entry which costs too much is
// named and never taken for an empty one. What an ordinary entry needs is assured
// to it, however much the others have cost.
package budget
