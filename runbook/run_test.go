package runbook

import (
	"errors"
	"testing"
	"time"
)

// ways are all transitions there are, written once more by hand from the
// picture in run.go.
var ways = map[State][]State{
	StatePending:  {StatePending, StateApproved, StateDenied, StateWithdrawn, StateExpired, StateObsolete},
	StateApproved: {StateSnapshot, StatePending, StateExpired, StateObsolete, StateFailed},
	StateSnapshot: {StateFlush, StatePending, StateObsolete, StateFailed},
	StateFlush:    {StateVerify, StateFailed},
	StateVerify:   {StateDone, StateFailed},
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
			run := Run{ID: "r", State: from, Progress: Progress{1, 2}}
			err := run.Apply(Transition{From: from, To: to, Outcome: "so"}, t0)
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
	if err := run.Apply(Transition{From: StateFlush, To: StateVerify}, t0); !errors.Is(err, ErrMoved) || len(run.Receipts) != 0 {
		t.Errorf("error %v", err)
	}
}

// From the approval to the proof a run has its resource to itself, and only then.
func TestHolds(t *testing.T) {
	for _, s := range States() {
		want := s == StateApproved || s == StateSnapshot || s == StateFlush || s == StateVerify
		if s.Holds() != want {
			t.Errorf("%s: holds is %t", s, s.Holds())
		}
	}
}

func TestNextAt(t *testing.T) {
	pending := Run{State: StatePending, RemindAt: t0.Add(time.Minute), ExpiresAt: t0.Add(2 * time.Minute)}
	if !pending.NextAt().Equal(pending.RemindAt) {
		t.Errorf("next %s", pending.NextAt())
	}
	pending.RemindAt = time.Time{}
	if !pending.NextAt().Equal(pending.ExpiresAt) {
		t.Errorf("next %s", pending.NextAt())
	}
	approved := Run{State: StateApproved, StartBy: t0, ExpiresAt: t0.Add(time.Minute)}
	if !approved.NextAt().Equal(t0) {
		t.Errorf("next %s", approved.NextAt())
	}
	for _, s := range States() {
		run := Run{State: s, StartBy: t0, ExpiresAt: t0, RemindAt: t0}
		if due := s == StatePending || s == StateApproved; run.NextAt().IsZero() == due {
			t.Errorf("%s: next %s", s, run.NextAt())
		}
	}
}
