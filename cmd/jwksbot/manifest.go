package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"jwksbot/bot"
)

func manifestCommand(w *world) *cobra.Command {
	return w.command("manifest", "Print the manifest that creates the Slack app.", manifestCmd{})
}

// manifestCmd prints the app manifest.
type manifestCmd struct{}

// run prints what manifest.yaml holds.
func (manifestCmd) run(_ context.Context, w *world) error {
	_, err := fmt.Fprint(w.stdout, bot.Manifest())
	return err
}
