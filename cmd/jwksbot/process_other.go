//go:build !linux

package main

// residentMemory is known on Linux only.
func residentMemory() (bytes uint64, ok bool) { return 0, false }

// cpuSeconds is known on Linux only.
func cpuSeconds() (seconds float64, ok bool) { return 0, false }
