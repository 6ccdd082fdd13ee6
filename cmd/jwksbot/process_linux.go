package main

import (
	"fmt"
	"os"
	"syscall"
)

// residentMemory is the memory that the process really holds (proc(5), statm).
func residentMemory() (bytes uint64, ok bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	var size, resident uint64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, false
	}
	return resident * uint64(os.Getpagesize()), true
}

// cpuSeconds is the time that the process has used, in user and system mode.
func cpuSeconds() (seconds float64, ok bool) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9, true
}
