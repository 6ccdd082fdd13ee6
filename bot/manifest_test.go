package bot

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jwksbot/bot/slacksim"
)

// What the emulated workspace grants by default is what the app asks for: a call
// that needs more fails in every test.
func TestTheWorkspaceGrantsTheScopesOfTheManifest(t *testing.T) {
	if diff := cmp.Diff(Scopes(), slacksim.DefaultScopes()); diff != "" {
		t.Error(diff)
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
