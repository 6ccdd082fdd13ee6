// Package cache reads, saves, empties and refills the Redis cache that an
// authoriser keeps signing keys in. It moves bytes; what the bytes mean is
// package keys' business.
//
// # Words
//
// A [Topology] is where a cache is, as ElastiCache or the configured URL says.
// A primary is one server that accepts writes; a standalone cache has one, a
// cluster one per shard. A fleet is the set of primaries with their
// connections, valid for a minute or until a server says that it has changed.
//
// # Promises
//
//   - Every operation visits every primary. A cluster client's own SCAN,
//     DBSIZE or FLUSHALL may answer for one node only; none is used.
//   - [Store.Delete] removes an entry only if it still holds what the snapshot
//     saw. Comparison and deletion are one step on the server (a single-key
//     script), so a fresh entry is never lost to a race.
//   - Every command names a single key, so that it is correct in a cluster;
//     keys are found with SCAN. KEYS and CONFIG are never sent: one blocks the
//     server, ElastiCache refuses the other.
//   - How large a value is is asked before it is fetched. What is too large for
//     a key set is listed and not read, and an answer that is longer than was
//     asked for ends its connection.
//   - A password or IAM token is sent over TLS only, except on loopback.
//   - Errors name the server and what to do next, never a secret.
//
// # Sameness
//
// "The same value" is decided by the SHA-1 of the server's serialisation
// (DUMP). Where that differs, the SHA-1 of the content decides: DUMP writes
// hashes and sets in the order of their hash table, which changes with a
// rehash or a failover although nobody wrote anything. TTLs do not count.
//
// # What it does not do
//
// No command is retried blindly. When a server answers READONLY or MOVED, when
// a primary turns out to have become a replica, or when a connection breaks, the
// fleet is discovered again and the operation begins again from its start: a
// new primary may not have heard of what the old one answered. That is tried for
// some two seconds; after them the error goes to the caller, who knows whether
// the run is still approved. [Store.Delete] asks its caller before it begins
// again, and [Store.FlushAll] leaves alone what it has emptied already.
package cache
