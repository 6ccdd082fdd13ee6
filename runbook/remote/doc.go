// Package remote carries what people ask for at a terminal to the one process
// that may believe them, and its answer back. Both sides meet in the journal
// and nowhere else: no port is opened, and who may read the journal is settled
// before.
//
// # Words
//
// A [Request] is a mitigation that somebody asks for, or a decision on a run.
// The [Client] is the command on a terminal that hands it in, with a proof of
// who asks. The [Server] is the side of the process that executes runs: it
// takes requests, one executor after the other if need be, finds out who asks,
// carries each out in a [Transaction] of its own, and answers with a [Reply].
// A request is over once it has an answer, or was taken back by who asked.
//
// # Promises
//
//   - Who asks is what the server finds out. Nothing in a request says so, and a
//     proof holds for its request only.
//   - A request is carried out once or not at all. An executor that takes over
//     from one that ended, or was replaced, is told by the journal whether it was
//     carried out, and then tells only what came of it.
//   - Whoever stops waiting, by themselves or after two minutes, knows what came
//     of it: it was taken back and will never be carried out, or it was carried
//     out, and how.
//   - A request over which one process after the other ends is given up after
//     three; one that panics ends no process.
//   - Where the process that looked at the proof belongs to a person, the record
//     says whose machine it was.
//   - A server that ends answers what it has taken, if there is time; what is
//     left goes to the next executor.
//
// # What it does not do
//
// It knows no rule about people: what may be requested and decided is the
// transaction's to say. It signs and checks no proof and knows neither AWS nor
// the database. Requests are not kept for ever: the journal drops them after a
// day.
package remote
