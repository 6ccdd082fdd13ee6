// Package render turns values of the domain into what Slack shows: messages,
// forms, the Home tab, files. Plain data goes in, Block Kit comes out.
//
// # Words
//
// A [Message] is one post: a sentence for notifications and screen readers, and
// blocks. A form is a modal; it is built and read back in this package, so that
// the ids of its inputs are known nowhere else. A [PlanRef] is all that a button
// of a run carries.
//
// A message tells, from top to bottom, what is wrong, the proof, what may be
// done, and who did what. States are words and shapes, never colour alone. What
// is long goes into the thread.
//
// # Promises
//
//   - Every function is pure: no network, no clock, nothing that waits. The same
//     value gives the same blocks, which the goldens in testdata hold.
//   - No block exceeds a limit of Slack, whatever the value: what is cut says so.
//   - Nothing that people typed, or that stands in a cache or a log, can mention
//     anybody, make a link or change the formatting around it.
//   - What a form or a button carries grants nothing: it says what was meant, and
//     the domain looks up who may do it.
//
// It sends nothing, and decides nothing: whether somebody may press a button is
// asked when they press it.
package render
