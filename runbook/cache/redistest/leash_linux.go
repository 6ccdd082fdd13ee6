package redistest

import "syscall"

// leash lets a server end with the test's process, also when that panics, runs
// into its time limit or is killed, and cleans up nothing.
func leash(attr *syscall.SysProcAttr) *syscall.SysProcAttr {
	attr.Pdeathsig = syscall.SIGKILL
	return attr
}
