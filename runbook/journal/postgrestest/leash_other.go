//go:build !linux

package postgrestest

import "syscall"

// leash does nothing where the system has no signal for a parent's end.
func leash(attr *syscall.SysProcAttr) *syscall.SysProcAttr { return attr }
