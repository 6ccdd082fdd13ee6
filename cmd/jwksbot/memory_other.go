//go:build !linux

package main

import "runtime/debug"

// releaseStart gives back the heap that only the start needed.
func releaseStart() error {
	debug.FreeOSMemory()
	return nil
}
