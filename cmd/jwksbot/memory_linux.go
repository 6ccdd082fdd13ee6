package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
)

// releaseMemory gives back the memory that only the start or past work needed:
// the heap that was collected since, and the pages of the program file that were
// mapped meanwhile (two thirds of what an idle bot would hold). The
// pages are read-only and backed by the file: what is needed again comes back
// by itself, out of the page cache.
func releaseMemory() error {
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		from, to, ok := readOnlyMapping(lines.Text(), exe)
		if !ok {
			continue
		}
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
	}
	return lines.Err()
}

// readOnlyMapping reads a line of /proc/PID/maps (proc(5)) and says whether it
// maps the file privately and read-only. A writable mapping holds data that is
// nowhere else and is never touched.
func readOnlyMapping(line, file string) (from, to uintptr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || strings.Join(fields[5:], " ") != file || (fields[1] != "r-xp" && fields[1] != "r--p") {
		return 0, 0, false
	}
	if _, err := fmt.Sscanf(fields[0], "%x-%x", &from, &to); err != nil || to <= from {
		return 0, 0, false
	}
	return from, to, true
}
