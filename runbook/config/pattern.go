package config

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first used: every
// command would pay for it otherwise, and most use none.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
