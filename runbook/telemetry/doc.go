// Package telemetry reads what the authoriser and the cache say about
// themselves: log lines from CloudWatch Logs and cache traffic from CloudWatch
// metrics. It is the only user of those two services.
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
// [Logs] reads newest events first, follows every page (also empty ones), stays
// below three requests a second, the quota being as low as five per account and
// Region and not adjustable, and stops at a page cap or the caller's deadline.
// What it has by then is returned as a lower bound. [Metrics] reads raw Sum
// series per node and adds them up here: rates of nodes cannot be averaged, and
// a missing series is not a rate of zero.
//
// # Promises
//
//   - No token, password or key leaves the package: samples are redacted, then
//     shortened, in this order.
//   - Reading changes nothing in the account.
//   - Memory does not grow with the number of events.
package telemetry
