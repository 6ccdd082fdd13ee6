// Package authoriser reads and renews the Lambda function that judges tokens,
// and reads and flushes the API Gateway in front of it. It is the only user of
// those services.
//
// # Restart
//
// Lambda has no restart. What makes new execution environments is a change of
// configuration, so [Function] changes the one thing that no code depends on,
// the description: environment variables, role, layers and code are not part of
// the request. The description gets a mark, "jwksbot RUN TIME", before the text
// that was there.
//
// Where the gateway invokes $LATEST, that is all. Where it invokes an alias,
// $LATEST is published as a new version and the alias moved to it, which can be
// moved back. A numbered version that is invoked directly cannot be renewed by
// anybody: it is immutable, and its name stands in the gateway.
//
// # Promises
//
//   - Nothing is written where anything is unclear: see [Function.Inspect] for
//     what is refused. A [runbook.Refusal] means that nothing was written; any
//     other error of a restart says how far it came.
//   - Every write carries the RevisionId of what was read, so that a change by
//     somebody else in between makes it fail instead of being overwritten.
//   - Nothing but the renewal is released: $LATEST must equal the version behind
//     the alias in everything, before it is published and once more afterwards,
//     before the alias moves.
//   - A restart may be repeated for the same run: what was done is recognised by
//     the mark. A lost answer to a write is recognised in the same way.
//   - Values of environment variables are compared and never kept or shown.
//
// # Not known for certain
//
// That a change of the description alone ends warm environments is common
// experience, not documented; the caller therefore looks for new log streams. How
// soon GetProvisionedConcurrencyConfig tells of the new version after an alias
// moved is not documented either.
//
// # Gateway
//
// [Gateway] follows the authoriser's URI, with the variables of the stage put in,
// to the function and alias that are really invoked. The result cache can be
// emptied and never read.
package authoriser
