// Package socket keeps the Socket Mode connection to Slack: what Slack sends is
// acknowledged in time and handed on once.
//
// # Words
//
// A [Client] keeps the app connected. A link is one WebSocket connection of it;
// while Slack refreshes a connection there are two. An [Envelope] is one
// delivery of Slack: a command, an interaction or an event. A [Receiver] says
// what [Work] an envelope leads to. A [Lane] bounds how much work is done at a
// time, in all and for each person.
//
// # Promises
//
//   - An envelope is acknowledged in the goroutine that read it, before any work
//     on it, and after Settings.AcceptWithin at the latest.
//   - The successor of a link is open before the link ends, and both are read
//     until Slack closes the old one.
//   - Each delivery is handed on at most once.
//   - A full lane refuses at once, and the sender is told; nothing waits in a
//     queue.
//   - Errors that time does not heal end [Client.Run] with a [PermanentError],
//     whose text says what to do. On all others the client backs off.
//   - No error and no log line holds a payload, or a URL that grants something.
//
// The package knows neither what a command means nor how an answer looks. It
// keeps nothing on disk: what was acknowledged and not worked on when the
// process dies is lost.
package socket
