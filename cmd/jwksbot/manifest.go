package main

import (
	"fmt"

	"jwksbot/bot"
)

// manifestCmd prints the app manifest.
type manifestCmd struct{}

// Run prints what manifest.yaml holds.
func (manifestCmd) Run(w *world) error {
	text, err := bot.Manifest()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(w.stdout, text)
	return err
}
