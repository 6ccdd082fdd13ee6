//go:build !linux && !darwin

package main

import "os"

// terminalWidth is not known here: the terminal breaks lines by itself.
func terminalWidth(*os.File) int { return 0 }
