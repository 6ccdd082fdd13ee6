package journal

import "syscall"

// mayCreate says why no file can be created in a directory (access(2), without
// trying it).
func mayCreate(dir string) error {
	const writeAndSearch = 0x2 | 0x1
	if err := syscall.Access(dir, writeAndSearch); err != nil {
		return err
	}
	return nil
}
