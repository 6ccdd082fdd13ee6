// Package slacksim is an emulated Slack workspace: the Web API, Socket Mode
// and a page on which people type commands, press buttons and fill in modals.
// The demo shows it in a browser; tests drive it from Go. The bot that talks
// to it is the real one with its real client; nothing is replaced but the base
// URL of the API.
//
// # Words
//
// A call is one request of the bot to the Web API. An envelope is one payload
// that travels the other way, over a Socket Mode connection, and waits for its
// acknowledgement; a [Delivery] tells what became of it. A journal line is one
// thing that somebody could have seen: a post, an update, a private message, a
// modal. [Sim.Transcript] prints the journal for golden tests.
//
// # Promises
//
//   - It refuses what Slack refuses, with Slack's error codes: wrong kinds of
//     tokens, missing scopes, channels that the bot is not in, texts and blocks
//     over their limits, trigger ids that are late or used, fast posters.
//   - Socket URLs work once. Each envelope goes to one connection, chosen at
//     random; an acknowledgement after three seconds does not count, nor does
//     one on another connection, nor one of 20 KiB or more.
//   - What the bot posts is what is shown: nothing is escaped or corrected on
//     the way in, so that a forgotten escape is seen as a mention
//     ([Sim.Mentions]). The page itself builds text nodes only; no message can
//     bring markup or script into it.
//   - Faults are asked for by name ([Sim.Fail], [Sim.RateLimit], [Sim.Outage],
//     [Sim.RefreshConnections], [Sim.Silent], …) and happen on the wire.
//
// Times on messages come from [Options.Clock]. What is technical (deadlines of
// acknowledgements, trigger ids, response URLs, rate limits) is real time, so
// that a demo that runs faster than life can still be used by people.
//
// # What it does not do
//
// It keeps everything in memory, knows one workspace and one app, and has no
// search, no direct messages between people and no history API. Where Slack's
// behaviour is not documented the stricter reading was taken; the comment at
// the place says so.
//
// Sources: docs.slack.dev (rate limits, Socket Mode, Block Kit), the payload
// samples of Slack's own SDKs, and measurements against their clients.
package slacksim
