// Package diagnose draws the verdict: from the evidence that the checks brought to
// findings and the one of them that explains the incident best.
//
// # Words
//
// [Facts] are what the rules look at: the evidence in order, each cached key set
// compared with the live one. A rule is a method on them that gives a verdict if
// it fits. [Marked] says of each cached key what a person wants to know of it.
//
// # The verdict
//
// [Diagnose] asks its rules in a fixed order; the first that fits is the verdict.
// What wins when two fit, and why:
//
//  1. Without a sound and agreed live key set (live_unhealthy, live_disagrees)
//     nothing else matters: every cure would fetch from there, and the cache may
//     hold the last good copy.
//  2. managed_jwt_authoriser wins over what is wrong in the cache, which that
//     gateway never reads. It yields as soon as the Lambda authoriser rejects
//     somebody: then the cache does matter.
//  3. unsupported_key wins over rekeyed_kid, poisoned_cache and stale_cache: a
//     flush would swap a copy that works for one that the consumer cannot parse.
//  4. Then what a mitigation can fix, the stronger cure first. rekeyed_kid needs
//     flush and restart, which cures a poisoned or stale entry as well;
//     poisoned_cache, negative_cache and stale_cache need the flush alone.
//  5. cache_unreadable only when no entry could be read: beside a readable one it
//     is a finding.
//  6. refetch_throttled wins over stale_memory, since waiting is the cheaper cure
//     and a restart with an empty cache starts the storm again. Where the cache
//     holds the live keys and waiting has not helped, it recommends the restart.
//  7. removed_too_early wins over stale_memory: a key that is nowhere cannot be
//     brought back by a restart, however many other tokens fail.
//  8. stale_cache for a per-kid cache without the failing key, and stale_memory,
//     need the restart. They win over gateway_result_cache, which is believed only
//     while the authoriser rejects nobody: its cause would come back otherwise.
//  9. What no mitigation of ours can fix: unknown_issuer, unknown_kids,
//     duplicate_kid, claims_or_clock. Where the logs alone explain the incident, an
//     unread cache or unreachable live keys do not matter. A trickle of expired
//     tokens is no incident: it is held against the gateway's requests, or against
//     its own rate in the first quarter of the window.
//  10. Denials at the gateway that nothing explains are inconclusive, and win over
//     retired_key_cached, metadata_changed and healthy, which explain no denial.
//  11. healthy needs live keys, a read cache, and no failures beyond noise.
//  12. inconclusive last; it names the check that would settle it.
//
// # Promises
//
//   - [Diagnose] is a pure function of the evidence: no network, no clock. Neither
//     the order of what was read nor the names of keys and entries decide.
//   - It knows the words of package runbook and nothing else. It advises; it never
//     looks at who asks, and plans nothing: that is package approve.
//
// To add a verdict, name it in verdicts.go and add its rule at its place in the
// list of rules in diagnose.go.
package diagnose
