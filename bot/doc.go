// Package bot is the Slack side of jwksbot: it takes commands, clicks and forms,
// hands them to the runbook's service, and keeps messages up to date.
//
// # Words
//
// An origin is where somebody did something, and how they can be answered there.
// A line is what they typed after a command. An interim answer says that the real
// one takes longer. The presenter posts and updates the messages of runs.
//
// # One direction
//
// Package socket receives an envelope; [Bot.Accept] reads it, once, and says what
// is to be done (accept.go). What people can type is in the tables of commands.go;
// clicks.go has the buttons and shortcuts, submit.go the forms. All of them call
// [runbook.Service], which decides; package render makes blocks of what comes back,
// and post.go sends them. Nobody's click is authority: a button carries an opaque
// id, and the service looks up who pressed it and what it stands for.
//
// # Messages are a projection
//
// A run has one message, and that message is a projection of the run's row in
// the journal: the presenter compares the version that is shown with the
// version that is, and posts or updates until they are equal. A crash, a rate
// limit or an outage only delays it. No run ever waits for Slack.
// A second message that a crash left behind loses its buttons as soon as
// somebody presses one (copy.go).
//
// What stands in a run's thread besides (a reminder, a call for the on-call
// group, the break-glass notice to the approvers, the chart of a watch)
// is posted once, and recorded in the run right after (posted.go).
//
// # After a mitigation
//
// The message of a run offers what the runbook says next. Such a button opens a
// form (render/forms.go) and leads to a request like any other, with its own
// approval: nothing is done by the press of a button alone, except to approve,
// to deny, and to take over.
//
// # Home tabs
//
// They are published when they are opened, and kept up to date for half an
// hour for those who look at them (home.go).
//
// # Promises
//
//   - Every command and every click gets a private answer, even if it is
//     refused, late, forged or broken.
//   - Nothing is lost where the bot may not post: what it found comes privately,
//     with the line that invites it.
//   - What people typed is redacted before it is kept or shown, and escaped
//     wherever it is shown.
//
// The package decides nothing about targets, people or runs, and talks to no
// system but Slack.
package bot
