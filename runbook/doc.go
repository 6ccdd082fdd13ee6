// Package runbook is the domain of jwksbot: the steps of the runbook "token
// cache refresh", the verdict drawn from what they read, the rules by which
// people decide on a mitigation, and the states that a run goes through.
//
// # Words
//
// A [Target] is one environment to look after. A [Check] reads; a mitigation
// changes something and happens only inside a [Run], which executes one [Plan]
// after people decided on it. A [Finding] is one fact with a stable id; the
// [Verdict] is the one finding that explains the incident best. A [Receipt] is
// the evidence of what a mitigation did, always taken from reading back.
//
// # Promises
//
//   - [Diagnose] is a pure function of the evidence: no network, no clock.
//   - A check changes nothing and returns what it has, also when it fails.
//   - A rule about people is decided here, never in Slack or on a terminal.
//   - A state of a run may be executed any number of times: every effect is
//     either safe to repeat or is preceded by reading the world again.
//
// The package knows no outside system and imports the standard library only.
// What it needs from one (a source of live keys, a store of cache entries, a
// ledger of runs) it names as a small interface beside the code that calls it;
// the packages below this one implement them, cmd/jwksbot puts them together.
package runbook
