// Package approve decides: who may ask, who may approve, and what exactly is
// approved. The [Service] takes requests and decisions from Slack and from
// terminals alike.
//
// # Words
//
// A [Request] asks for mitigations; out of it and a fresh report one function makes
// and judges a plan, for the request, for the click and before the first effect:
// there is no second way to a plan. A [Click] is a decision on the generation of
// the plan that its card showed. [Recheck] holds a run's plan against the world as
// it is now; [Drift] says how far apart they are. The [Directory] knows people and
// groups. The [ExpiryScheduler] ends requests that nobody decided on.
//
// # Promises
//
//   - Whoever asks and whoever decides is looked at afresh, never through a list
//     older than five seconds; a directory that does not answer is a "try again",
//     never an old "yes".
//   - A click on another generation than the present one approves nothing.
//   - Nothing is approved that the card did not show: later entries are left alone,
//     entries of other issuers always, and without an undo only with an override.
//   - Every refusal is one sentence with the next step, and is recorded.
//
// It changes nothing outside of the [Ledger]; what was approved is carried out by
// package execute.
package approve
