package main

import (
	"fmt"

	"jwksbot/bot"
)

// manifestCmd prints the app manifest.
type manifestCmd struct{}

// Run prints what manifest.yaml holds.
func (manifestCmd) Run(w *world) error {
	_, err := fmt.Fprint(w.stdout, bot.Manifest())
	return err
}
