package runbook

import (
	"errors"
	"testing"
	"time"
)

var begin = time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)

// ways are all transitions there are, written once more by hand from the
// picture in run.go.
var ways = map[State][]State{
	StatePending:  {StatePending, StateApproved, StateDenied, StateWithdrawn, StateExpired, StateObsolete},
	StateApproved: {StateSnapshot, StateFlush, StateRestart, StateGateway, StateRestore, StatePending, StateExpired, StateObsolete, StateFailed},
	StateSnapshot: {StateFlush, StateRestart, StateGateway, StatePending, StateObsolete, StateFailed},
	StateFlush:    {StateVerify, StateEscalate, StateFailed},
	StateVerify:   {StateRestart, StateGateway, StateConfirm, StateWatch, StateEscalate, StateDone, StateFailed},
	StateRestart:  {StateGateway, StateConfirm, StateWatch, StateEscalate, StateDone, StateFailed},
	StateGateway:  {StateConfirm, StateWatch, StateEscalate, StateDone, StateFailed},
	StateConfirm:  {StateWatch, StateEscalate, StateDone, StateFailed},
	StateWatch:    {StateWatch, StateEscalate, StateDone, StateFailed},
	StateEscalate: {StateWatch, StateDone, StateFailed},
	StateRestore:  {StateEscalate, StateDone, StateFailed},
}

func TestEveryWayFromStateToState(t *testing.T) {
	for _, from := range States() {
		allowed := map[State]bool{}
		for _, to := range ways[from] {
			allowed[to] = true
		}
		if from.Ended() != (len(ways[from]) == 0) {
			t.Errorf("%s: ended is %t", from, from.Ended())
		}
		for _, to := range States() {
			if from.CanBecome(to) != allowed[to] {
				t.Errorf("%s to %s: can is %t", from, to, from.CanBecome(to))
			}
			run := Run{ID: "r", State: from, Progress: Progress{Done: 1, Total: 2}}
			err := run.Apply(Transition{From: from, To: to, Outcome: "so"}, begin)
			switch {
			case allowed[to] && (err != nil || run.State != to || run.Outcome != "so" || run.Progress != Progress{}):
				t.Errorf("%s to %s: %v, %+v", from, to, err, run)
			case allowed[to] && run.EndedAt.IsZero() == to.Ended():
				t.Errorf("%s to %s: ended at %s", from, to, run.EndedAt)
			case !allowed[to] && (!errors.Is(err, ErrMoved) || run.State != from || run.Outcome != ""):
				t.Errorf("%s to %s: %v, became %s", from, to, err, run.State)
			}
		}
	}
	if len(States()) != len(transitions) {
		t.Errorf("%d states are listed, %d have transitions", len(States()), len(transitions))
	}
}

func TestApplyRefusesAnotherFrom(t *testing.T) {
	run := Run{State: StateVerify}
	if err := run.Apply(Transition{From: StateFlush, To: StateVerify}, begin); !errors.Is(err, ErrMoved) || len(run.Receipts) != 0 {
		t.Errorf("error %v", err)
	}
}

// From the approval to the proof a run has its resource to itself, and only
// then; a watch and an escalation go on by themselves and hold up nobody.
func TestHoldsAndExecutes(t *testing.T) {
	holding := map[State]bool{StateApproved: true, StateSnapshot: true, StateFlush: true, StateVerify: true, StateRestart: true,
		StateGateway: true, StateConfirm: true, StateRestore: true}
	for _, s := range States() {
		if s.Holds() != holding[s] {
			t.Errorf("%s: holds is %t", s, s.Holds())
		}
		if want := holding[s] || s == StateWatch || s == StateEscalate; s.Executes() != want {
			t.Errorf("%s: executes is %t", s, s.Executes())
		}
	}
}

func TestNextAt(t *testing.T) {
	pending := Run{State: StatePending, RemindAt: begin.Add(time.Minute), ExpiresAt: begin.Add(2 * time.Minute)}
	if !pending.NextAt().Equal(pending.RemindAt) {
		t.Errorf("next %s", pending.NextAt())
	}
	pending.RemindAt = time.Time{}
	if !pending.NextAt().Equal(pending.ExpiresAt) {
		t.Errorf("next %s", pending.NextAt())
	}
	approved := Run{State: StateApproved, StartBy: begin, ExpiresAt: begin.Add(time.Minute)}
	if !approved.NextAt().Equal(begin) {
		t.Errorf("next %s", approved.NextAt())
	}
	for _, s := range States() {
		run := Run{State: s, StartBy: begin, ExpiresAt: begin, RemindAt: begin}
		if due := s == StatePending || s == StateApproved; run.NextAt().IsZero() == due {
			t.Errorf("%s: next %s", s, run.NextAt())
		}
	}
}
