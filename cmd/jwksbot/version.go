package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"jwksbot/bot"
)

func versionCommand(w *world) *cobra.Command {
	return w.command("version", "Print the version.", versionCmd{})
}

// showVersion makes jwksbot --version the same as jwksbot version.
func showVersion(root *cobra.Command, w *world) {
	asked := root.Flags().Bool("version", false, "Print the version.")
	without := root.RunE
	root.RunE = func(cmd *cobra.Command, words []string) error {
		if *asked {
			return versionCmd{}.run(cmd.Context(), w)
		}
		return without(cmd, words)
	}
}

// versionCmd prints the version.
type versionCmd struct{}

// run prints version, revision and platform in one line.
func (versionCmd) run(_ context.Context, w *world) error {
	_, err := fmt.Fprintf(w.stdout, "jwksbot %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// release is set by the linker (-X main.release=…) in released builds.
var release = ""

func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func trimSlash(s string) string { return strings.TrimRight(s, "/") }

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
