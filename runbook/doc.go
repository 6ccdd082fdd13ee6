// Package runbook holds the words of the runbook "token cache refresh": what the
// rooms below it, the adapters beside them and the bot speak of. It decides
// nothing and does nothing.
//
// # Words
//
//   - [Evidence] is what the checks of one target found: live keys, cached
//     [Entry]s, log lines, traffic, the gateway, the function. A [Key] is named by
//     its kid and told apart by its thumbprint. A [RawEntry] is an entry as the
//     cache holds it, a [Reading] what a decoder made of it.
//   - A [Finding] is one fact with a stable id; the [Verdict] is the one finding
//     that explains the incident best, with what it advises and what it does not.
//   - A [Plan] says what a [Mitigation] would change, entry by entry or by name.
//   - A [Run] carries out one plan after people decided on it: [Decision]s, the
//     [State] it is in, and a [Receipt] for each thing done, always taken from
//     reading back. A [Watch] follows it, an [Escalation] calls people.
//   - A [Refusal] is a "no" in a sentence for the person who asked.
//
// # Rooms
//
//   - diagnose: from evidence to findings and one verdict; pure
//   - check: the checks and their runner
//   - approve: requests, decisions, and the rules about people and plans
//   - execute: the states of a run
//   - record: what a run was, for people who were not there
//
// Each imports those above it in this list and none below. They know no outside
// system: what they need from one they name as a small interface, which the
// adapters (keys, cache, telemetry, authoriser, journal, …) implement and
// cmd/jwksbot puts together.
//
// # Promises
//
// The package imports the standard library only. Its values are plain data: what
// is shown in Slack, printed, recorded or kept comes from the same value. A value
// turns into English in one place.
package runbook
