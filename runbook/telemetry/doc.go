// Package telemetry reads what the authoriser and the cache say about
// themselves: log lines from CloudWatch Logs and cache traffic from CloudWatch
// metrics; and, for the same incident, what the gateway says: its traffic from
// CloudWatch metrics, its denials from the access log, and which execution
// environments of the authoriser are new from the listing of log streams. It is
// the only user of those two services.
//
// # Lines
//
// A [Classifier] decides for one log event whether it tells of a failed token
// validation, which class of failure, and on which kid. It knows the messages
// of the common libraries (the table in phrases.go) and takes further patterns
// from the configuration. One pass of an automaton over the line finds every
// known phrase, whatever its case and whether it is written as words, as
// snake_case or as a name of an error class; the table then decides, first
// rule first. A kid is taken from structured fields, then from messages, then
// from the header of a token inside the line (facts: an attacker can write
// anything into a kid, so that it is bounded and never holds a token).
//
// # CloudWatch
//
// [Logs] and [AccessLog] read newest events first, follow every page (also empty
// ones), stay below three requests a second (a [Pace] that all readers of an
// account and Region can share, the quota being as low as five and not
// adjustable), and stop at a page cap or the caller's deadline. What they have
// by then is returned as a lower bound. [Metrics] reads raw Sum series and adds
// them up here: rates of nodes cannot be averaged, and a missing series is not
// a rate of zero.
//
// # Promises
//
//   - No token, password or key leaves the package: samples are redacted, then
//     shortened, in this order.
//   - Reading changes nothing in the account.
//   - Memory does not grow with the number of events.
package telemetry
