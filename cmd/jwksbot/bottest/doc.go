// Package bottest runs the shipped program for tests: as a process of its own,
// in a place that has all that it talks to.
//
// A [Place] is a drill, an emulated workspace and a folder with a
// configuration. A [Process] is the program there, which can be waited for, and
// killed. A [Cache] is a real Redis under stale keys with another client that
// refills it, behind a [Proxy] that can hold everything the program sends.
//
// It decides nothing about what is right: tests do, in cmd/jwksbot and in
// cmd/jwksbot/stormtest, where the program is killed and its servers fail.
package bottest
