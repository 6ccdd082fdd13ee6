package main

import (
	"math"
	"runtime/debug"
)

// softMemory is from where on the garbage collector works harder, so that what
// somebody puts into a cache leaves the process below 150 MiB. It bounds what
// Go manages; the program itself is some 25 MiB beside it.
const softMemory = 96 << 20

// limitMemory sets the limit, unless the environment did (GOMEMLIMIT).
func limitMemory() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(softMemory)
	}
}
