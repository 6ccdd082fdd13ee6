package bottest

import (
	"jwksbot/runbook"
)

// FlushStates are the states of a run that only flushes, up to its end.
var FlushStates = []runbook.State{runbook.StatePending, runbook.StateApproved, runbook.StateSnapshot, runbook.StateFlush, runbook.StateVerify}
