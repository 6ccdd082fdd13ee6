package bot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jwksbot/bot/render"
	"jwksbot/bot/slacksim"
)

// What the emulated workspace grants by default is what the app asks for: a call
// that needs more fails in every test.
func TestTheWorkspaceGrantsTheScopesOfTheManifest(t *testing.T) {
	if diff := cmp.Diff(Scopes(), slacksim.DefaultScopes()); diff != "" {
		t.Error(diff)
	}
}

// Help, hint and manifest name every sub-command; help itself is found by its hint.
func TestEverySubcommandIsExplained(t *testing.T) {
	help := render.Help(commandCheck, helpLines(), nil, "")
	for _, s := range subcommands() {
		for _, c := range Commands() {
			if !strings.Contains(c.Hint, " | "+s.typed()) || !strings.Contains(Manifest(), c.Hint) {
				t.Errorf("the hint %q of %s lacks %q", c.Hint, c.Name, s.typed())
			}
		}
		if s.name != "help" && !strings.Contains(help, "`"+s.typed()+"` "+s.does) {
			t.Errorf("the help lacks %q", s.typed())
		}
	}
}

// The file at the top level is what people paste into Slack; it must be what
// the code needs.
func TestTheManifestIsWhatTheCodeNeeds(t *testing.T) {
	want := Manifest()
	got, err := os.ReadFile(filepath.Join("..", "manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("manifest.yaml is not what `jwksbot manifest` prints (-code +file):\n%s", diff)
	}
}
