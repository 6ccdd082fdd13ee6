// Command jwksbot is the program: a Slack bot for the incident in which signing
// keys were rotated and a cache still serves the old ones, and the same engine
// for terminals, cron and CI.
//
// This package is the only composition root. It reads flags and the
// configuration, puts the parts together, and prints; it decides nothing.
//
// To add a command: give it a file with a constructor and an action, and a line
// in the table in cli.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	limitMemory()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // whoever interrupts twice does not want to wait for an orderly end
	os.Exit(run(ctx, os.Args[1:], system()))
}
