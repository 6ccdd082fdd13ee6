package journal

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestEphemeral(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "journal")
	if err != nil {
		t.Skipf("no file system in memory here: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, url := range []string{filepath.Join(dir, "j.db"), "sqlite:" + filepath.Join(dir, "j.db")} {
		if got := Ephemeral(url); !strings.HasPrefix(got, "tmpfs") {
			t.Errorf("%s: %q", url, got)
		}
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(t.TempDir(), &fs); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		filepath.Join(t.TempDir(), "j.db"):                   ephemeral[uint32(fs.Type)],
		"postgres://jwksbot@127.0.0.1/x":                     "",
		"mysql://127.0.0.1/x":                                "",
		filepath.Join(dir, "there", "is", "no", "such", "j"): "",
	} {
		if got := Ephemeral(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
