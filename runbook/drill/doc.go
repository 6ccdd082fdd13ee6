// Package drill is a small world that is really broken: an identity provider
// with RSA keys that rotate, an authoriser that validates real tokens through a
// Redis cache, a gateway with synthetic traffic in front of it, and the AWS
// endpoints under which all of that can be watched. The demo and the tests run
// the real bot against it.
//
// # How it breaks
//
// Nothing is scripted. The authoriser of this world has one bug, the one that
// the runbook is about: it trusts the key set in the shared cache until that
// expires, and rejects a kid that is not in it without asking the identity
// provider again. Rotating the keys therefore makes sign-ins fail, and deleting
// the cache entry heals them, because the next request fetches the new set. A
// log line, a metric or a point of the panel is there because a token was
// really checked.
//
// A scenario may have more than that bug: a layer that others' authorisers have
// (a long memory, a refetch limit, negative markers, an encrypted cache), or
// clients whose tokens are at fault.
//
// # What stands around it
//
// The authoriser is a Lambda function with a configuration, versions and, in some
// worlds, an alias with provisioned concurrency. Its execution environments belong
// to what the gateway invokes: when that is updated or moved they are other ones,
// with new log streams and nothing in memory. The gateway may repeat results, or
// check tokens itself. Beside them stand the paging service, the on-call topic, a
// portal with a flush button that may lie, a token endpoint, and an API behind the
// gateway that anybody with a good token can call.
//
// # Words
//
// A scenario is one row of a table: how the world differs (settings) and what
// happened in its past hour (events). [Start] plays that hour, request by
// request with past timestamps, through the code that serves the present; then
// traffic goes on under the clock.
//
// # Time
//
// Everything that is due follows the [runbook.Clock]: traffic, token lifetimes,
// the in-memory layer, timestamps, and the TTLs of the in-process Redis. The
// TTLs of a real Redis follow real time, whatever the clock does. Network
// deadlines and [Options.Latency] are real time.
//
// # What the endpoints promise
//
// They answer as AWS does where the bot can notice: protocol, paging, sort
// order, filter patterns, error shapes, refusal of unsigned requests. They hold
// what this world did and nothing else, do not verify signatures, and refuse
// what they do not know by AWS's own error for it. [World.Permit] makes them
// refuse what an IAM policy does not allow, too; what each operation needs stands
// in awspolicy.go.
package drill
