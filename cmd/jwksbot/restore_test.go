package main

import (
	"strings"
	"testing"
)

// An undo belongs to the incident of the run that it undoes: it takes ticket and
// reason from there. One that is refused shows no plan, which there is none of.
func TestAnUndoTakesTicketAndReasonOfItsRun(t *testing.T) {
	t.Parallel()
	d, _ := newTeam(t, "stale")
	flush := d.start(t, "robin", "production\n", "flush", "production", "--ticket", "INC-2026-0214-001", "--reason", "keys rotated at 02:40")
	id := flush.Says(`run (\S+) waits for 1 approval`)[1]
	stdout, stderr := d.run(t, exitFinding, "robin", "production\n", "restore", id)
	contains(t, stderr, "Run "+id+" deleted nothing")
	if stdout != "" {
		t.Errorf("refused, and printed before that:\n%s", stdout)
	}
	d.run(t, exitOK, "lee", "", "approve", id)
	if code := flush.Exit(); code != exitOK {
		t.Fatalf("the flush ends with %d\n%s%s", code, flush.Out.String(), flush.Err.String())
	}
	undo := d.start(t, "robin", "production\n", "restore", id, "--force")
	of := undo.Says(`run (\S+) waits for 1 approval`)[1]
	if !strings.Contains(undo.Out.String(), "that run `"+id+"` deleted") {
		t.Errorf("the plan is not shown:\n%s", undo.Out.String())
	}
	shown, _ := d.run(t, exitOK, "lee", "", "runs", of)
	contains(t, shown, "(INC-2026-0214-001): undo of run "+id+": keys rotated at 02:40")
	d.run(t, exitOK, "robin", "", "deny", of)
	undo.Exit()

	other := d.start(t, "robin", "production\n", "restore", id, "--force", "--ticket", "CHG-7", "--reason", "rehearsal")
	shown, _ = d.run(t, exitOK, "lee", "", "runs", other.Says(`run (\S+) waits for 1 approval`)[1])
	contains(t, shown, "(CHG-7): rehearsal")
}
