// Package stormtest kills the shipped program in the middle of what it does, and
// lets what it depends on fail: its disk, its database, its connection. What was
// promised has to hold all the same.
package stormtest

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets more tests run at once than there are processors: they wait more
// than they work.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "8")
	os.Exit(m.Run())
}

// full says that the program is killed as often as in .ci/run: go test ./...
// alone shall not take minutes.
func full() bool { return os.Getenv("JWKSBOT_FULL") == "1" }
