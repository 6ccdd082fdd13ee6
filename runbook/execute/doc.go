// Package execute carries out runs, one state at a time: snapshot, flush, verify,
// restart, gateway, confirm, watch, escalate, restore; one file a state.
//
// # Words
//
// The [Machine] does the work of a run's present state and returns the transition
// to the next one. An effect is what changes something outside; before each the
// fence is asked whether this process is still the one that executes. A lease is
// that answer for effects in batches.
//
// # Promises
//
//   - A state may be executed any number of times: each effect is either safe to
//     repeat or is preceded by reading the world again. A flush deletes exactly the
//     entries of the snapshot that are still byte for byte as they were.
//   - Every rule that people were held to is held again before the first effect.
//   - What is said of an effect was read back. What could not be proven is said to
//     be unproven.
//   - A refusal that is certain is told as such: nothing was done, nothing is
//     retried, nobody is paged.
//
// It knows no engine: package journal executes the states durably. It decides
// nothing that people decide.
package execute
