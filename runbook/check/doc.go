// Package check reads a [Target]: one file a check, from the question to the
// evidence and the line that sums it up, and the [Runner] that runs them.
//
// # Words
//
// A [Check] is one read-only step; its [Result] has a status, one line for people,
// and evidence. A [Report] is all of them with the diagnosis. A [Reporter] follows
// a check as it proceeds. The [RotationMonitor] looks at the live keys again and
// again and notices when they are rotated.
//
// # Promises
//
//   - A check changes nothing, honours the context, returns what it has also when
//     it fails, and never logs. A panic in one is that one's error.
//   - All checks of a target run at once. Who asks the same at the same time gets
//     the same report; one target is not checked by a crowd: what waits is bounded,
//     and what is asked for a plan goes first.
//   - What could not be read is told as not read, and is never taken for empty.
//
// It decides nothing about people, and judges nothing beyond its own line: the
// verdict is drawn by package diagnose.
//
// To add a check, write its file, and add it to the list in target.go.
package check
