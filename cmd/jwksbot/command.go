package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"jwksbot/runbook/config"
)

// action is what a command does, once its flags and arguments are read into it.
type action interface {
	run(ctx context.Context, w *world) error
}

// argument is a word that a command takes in its place.
type argument struct {
	into *string
	name string // <target>, or [<target>] where it may be left out
	help string
}

func (a argument) optional() bool { return strings.HasPrefix(a.name, "[") }

// command makes a command out of an action, which is a pointer: the arguments
// are read into it, and the flags that the caller adds.
func (w *world) command(name, help string, a action, takes ...argument) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: help, Long: folded(help)}
	rows := make([][2]string, 0, len(takes))
	for _, t := range takes {
		cmd.Use += " " + t.name
		rows = append(rows, [2]string{t.name, t.help})
	}
	if len(rows) > 0 {
		cmd.Long += "\n\nArguments:\n" + strings.TrimSuffix(columns(rows), "\n")
	}
	cmd.Args = func(cmd *cobra.Command, words []string) error { return at(cmd, place(words, takes)) }
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		w.config = cmp.Or(w.config, w.getenv("JWKSBOT_CONFIG"), "jwksbot.yaml")
		w.log = newLogger(w)
		return at(cmd, a.run(cmd.Context(), w))
	}
	return cmd
}

// group makes a command that only holds others.
func group(name, help string, of ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: name + " <command>", Short: help, Long: folded(help), Args: cobra.ArbitraryArgs, RunE: noCommand}
	g.AddCommand(of...)
	return g
}

// usageError is a wrong command line.
type usageError struct {
	text string
	path string // of the command whose help says more
}

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{text: fmt.Sprintf(format, args...)} }

// at notes which command a wrong command line was meant for.
func at(cmd *cobra.Command, err error) error {
	var wrong *usageError
	if errors.As(err, &wrong) {
		wrong.path = cmp.Or(wrong.path, cmd.CommandPath())
	}
	return err
}

// place reads words into the arguments that are taken.
func place(words []string, takes []argument) error {
	for i, t := range takes {
		switch {
		case i < len(words):
			*t.into = words[i]
		case !t.optional():
			return usage("%s is missing: %s", t.name, lowerFirst(t.help))
		}
	}
	if len(words) > len(takes) {
		return usage("unexpected argument %q", words[len(takes)])
	}
	return nil
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// noCommand shows what there is to somebody who typed no command. That is not
// what a script wanted: it goes to standard error, and the exit code says so.
func noCommand(group *cobra.Command, words []string) error {
	if len(words) > 0 {
		return noSuchCommand(group, words)
	}
	group.SetOut(group.ErrOrStderr())
	return errors.Join(&exitError{code: exitFailed}, group.Help())
}

// noSuchCommand tells what stands in the place of a command.
func noSuchCommand(group *cobra.Command, words []string) error {
	var names []string
	for _, c := range group.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return at(group, usage("there is no command %q%s", words[0], didYouMean("", words[0], names)))
}

// wrongFlag tells what is wrong with a flag.
func wrongFlag(cmd *cobra.Command, err error) error {
	if words := cmd.Flags().Args(); cmd.HasSubCommands() && len(words) > 0 {
		return noSuchCommand(cmd, words) // its flags are unknown, too
	}
	return at(cmd, flagProblem(cmd, err))
}

func flagProblem(cmd *cobra.Command, err error) error {
	var wrong *pflag.InvalidValueError
	if errors.As(err, &wrong) {
		f := wrong.GetFlag()
		switch f.Value.(type) {
		case oneOf, *patternFlag, *span:
			return usage("--%s %v", f.Name, wrong.Unwrap())
		}
		switch f.Value.Type() {
		case "duration":
			return usage("--%s: %q is not a duration: write 90s, 15m or 2h", f.Name, wrong.GetValue())
		case "int", "float64":
			return usage("--%s: %q is not a number", f.Name, wrong.GetValue())
		}
		return usage("--%s: %q is not a valid %s", f.Name, wrong.GetValue(), f.Value.Type())
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return usage("%v", err)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	name := unknown.GetSpecifiedName()
	return usage("unknown flag --%s%s", name, didYouMean("--", name, names))
}

func didYouMean(prefix, typed string, names []string) string {
	for _, known := range names {
		if config.Near(known, typed) {
			return fmt.Sprintf(", did you mean %q?", prefix+known)
		}
	}
	return ""
}

// oneOf is the value of a flag that takes one of a few words.
type oneOf struct {
	into  *string
	words []string
}

// newOneOf makes the first word the default.
func newOneOf(into *string, words ...string) oneOf {
	*into = words[0]
	return oneOf{into, words}
}

func (o oneOf) Set(word string) error {
	if !slices.Contains(o.words, word) {
		return fmt.Errorf(`must be one of "%s", not %q`, strings.Join(o.words, `", "`), word)
	}
	*o.into = word
	return nil
}

func (o oneOf) String() string {
	if o.into == nil {
		return ""
	}
	return *o.into
}

func (o oneOf) Type() string { return strings.Join(o.words, "|") }

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
