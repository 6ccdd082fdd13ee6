package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// helpWidth is how wide help is: that of a terminal that nobody made wider.
const helpWidth = 80

// printHelp prints the help of a command. A help template would do the same,
// but text/template calls methods by name: the linker would have to keep every
// method of every SDK, which is a third of the program.
func printHelp(cmd *cobra.Command, _ []string) {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "Usage: %s\n\n%s\n", cmd.UseLine(), strings.TrimSpace(cmp.Or(cmd.Long, cmd.Short)))
	section(out, "Commands", columns(leaves(cmd, "")))
	section(out, "Flags", cmd.LocalNonPersistentFlags().FlagUsagesWrapped(helpWidth))
	section(out, "Flags of every command", cmd.Root().PersistentFlags().FlagUsagesWrapped(helpWidth))
}

func section(out io.Writer, title, text string) {
	if text != "" {
		fmt.Fprintf(out, "\n%s:\n%s", title, text)
	}
}

// leaves lists the commands below one that do something, in the order of the
// table.
func leaves(cmd *cobra.Command, prefix string) (rows [][2]string) {
	for _, c := range cmd.Commands() {
		switch {
		case !c.IsAvailableCommand():
		case c.HasSubCommands():
			rows = append(rows, leaves(c, prefix+c.Name()+" ")...)
		default:
			rows = append(rows, [2]string{prefix + c.Name(), c.Short})
		}
	}
	return rows
}

// columns sets names beside folded texts.
func columns(rows [][2]string) string {
	width := 0
	for _, r := range rows {
		width = max(width, utf8.RuneCountInString(r[0]))
	}
	var b strings.Builder
	for _, r := range rows {
		text := fold(r[1], helpWidth-width-5)
		fmt.Fprintf(&b, "  %-*s   %s\n", width, r[0], strings.Join(text, "\n"+strings.Repeat(" ", width+5)))
	}
	return b.String()
}

func folded(text string) string { return strings.Join(fold(text, helpWidth), "\n") }

// fold breaks a text into lines between its words.
func fold(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// helpCommand is help as a command: jwksbot help keys diff.
func helpCommand() *cobra.Command {
	return &cobra.Command{Use: "help", Short: "Show the help of a command.", Hidden: true, RunE: func(help *cobra.Command, words []string) error {
		cmd, rest, err := help.Root().Find(words)
		if err != nil {
			return err
		}
		if cmd.HasSubCommands() && len(rest) > 0 {
			return noSuchCommand(cmd, rest)
		}
		return cmd.Help()
	}}
}
