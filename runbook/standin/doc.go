// Package standin is for tests: sources of evidence, a cache, a clock and a ledger
// in memory that do what a test says, and short forms for keys ("a=1 b=2") and
// evidence. What a user has as a server is tested on the server, in the adapters'
// own tests and through the whole program.
package standin
