package journal

import (
	"path/filepath"
	"syscall"
)

// ephemeral are the kinds of file systems (statfs(2)) whose files end with the
// container, or with the machine's next start.
var ephemeral = map[uint32]string{
	0x01021994: "tmpfs, in memory",
	0x858458f6: "ramfs, in memory",
	0x794c7630: "overlay, which goes with its container",
	0x61756673: "aufs, which goes with its container",
}

// Ephemeral names the file system of a journal that does not outlive the
// container or the next start of the machine; "" where nothing speaks against
// it, and for Postgres.
func Ephemeral(url string) string {
	if isPostgres(url) {
		return ""
	}
	path, err := sqlitePath(url)
	if err != nil {
		return "" // Open says what is wrong with it
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &fs); err != nil {
		return ""
	}
	return ephemeral[uint32(fs.Type)]
}

// mayCreate says why no file can be created in a directory (access(2), without
// trying it).
func mayCreate(dir string) error {
	const writeAndSearch = 0x2 | 0x1
	if err := syscall.Access(dir, writeAndSearch); err != nil {
		return err
	}
	return nil
}
