package runbook

// State is where a run stands.
//
//	             ┌── a changed world ─┐
//	             ▼                    │
//	request ─▶ pending ──quorum──▶ approved ─▶ snapshot ─▶ flush ─▶ verify
//	             │                    │ │                             │
//	             │                    │ └─────────┬───────────────────┘
//	             │                    │           ▼
//	             │                    │        restart ─▶ gateway ─▶ confirm ─▶ watch ⇄ escalate
//	             │                    │                                           │        │
//	             │                    └─▶ restore ─────────────────────────────▶ done ◀────┘
//	             ├─▶ denied
//	             ├─▶ withdrawn
//	             ├─▶ expired   (also from approved: it did not start in time)
//	             └─▶ obsolete  (also from approved and snapshot: the world healed)
//
// A plan names its steps, and states of steps that are not in it are skipped;
// so are confirm and watch where the target has nothing to read for them. A
// flush that cannot be undone has no snapshot. From everything between approved
// and done a run may become failed; one that broke off after it may have
// touched something goes there through escalate, so that people learn of it. A
// watch becomes itself once a minute.
type State string

// States of a run.
const (
	StatePending   State = "pending"   // waits for decisions
	StateApproved  State = "approved"  // the quorum is reached, nothing was touched yet
	StateSnapshot  State = "snapshot"  // copies the entries that will be deleted
	StateFlush     State = "flush"     // deletes exactly what was copied
	StateVerify    State = "verify"    // reads the effect back
	StateRestart   State = "restart"   // gives the authoriser new execution environments
	StateGateway   State = "gateway"   // empties the gateway's result cache
	StateConfirm   State = "confirm"   // looks for a success after the last mitigation
	StateWatch     State = "watch"     // follows the share of failures, a point a minute
	StateEscalate  State = "escalate"  // tells the on-call team
	StateRestore   State = "restore"   // writes back what another run deleted
	StateDone      State = "done"      // the effect was proven
	StateFailed    State = "failed"    // stopped; what was done stays visible
	StateDenied    State = "denied"    //
	StateWithdrawn State = "withdrawn" // by the requester
	StateExpired   State = "expired"   // nobody decided, or it did not start, in time
	StateObsolete  State = "obsolete"  // the world healed before anything was done
)

// transitions are the only ways from state to state; an empty list ends.
var transitions = map[State][]State{
	StatePending: {StatePending, StateApproved, StateDenied, StateWithdrawn, StateExpired, StateObsolete},
	StateApproved: {StateSnapshot, StateFlush, StateRestart, StateGateway, StateRestore,
		StatePending, StateExpired, StateObsolete, StateFailed},
	StateSnapshot:  {StateFlush, StateRestart, StateGateway, StatePending, StateObsolete, StateFailed},
	StateFlush:     {StateVerify, StateEscalate, StateFailed},
	StateVerify:    {StateRestart, StateGateway, StateConfirm, StateWatch, StateDone, StateEscalate, StateFailed},
	StateRestart:   {StateGateway, StateConfirm, StateWatch, StateDone, StateEscalate, StateFailed},
	StateGateway:   {StateConfirm, StateWatch, StateDone, StateEscalate, StateFailed},
	StateConfirm:   {StateWatch, StateDone, StateEscalate, StateFailed},
	StateWatch:     {StateWatch, StateEscalate, StateDone, StateFailed},
	StateEscalate:  {StateWatch, StateDone, StateFailed},
	StateRestore:   {StateDone, StateEscalate, StateFailed},
	StateDone:      {},
	StateFailed:    {},
	StateDenied:    {},
	StateWithdrawn: {},
	StateExpired:   {},
	StateObsolete:  {},
}

// States lists all states in the order of a run's life.
func States() []State {
	return []State{StatePending, StateApproved, StateSnapshot, StateFlush, StateVerify, StateRestart, StateGateway,
		StateConfirm, StateWatch, StateEscalate, StateRestore, StateDone,
		StateFailed, StateDenied, StateWithdrawn, StateExpired, StateObsolete}
}

// CanBecome says whether a run may go from s to next.
func (s State) CanBecome(next State) bool {
	for _, t := range transitions[s] {
		if t == next {
			return true
		}
	}
	return false
}

// Ended says that no way leads on.
func (s State) Ended() bool { return len(transitions[s]) == 0 }

// Holds says that a run in this state has its resources to itself: no other
// mitigation of them may be approved or executed. A watch only reads, so it
// holds up nobody.
func (s State) Holds() bool {
	switch s {
	case StateApproved, StateSnapshot, StateFlush, StateVerify, StateRestart, StateGateway, StateConfirm, StateRestore:
		return true
	}
	return false
}

// Executes says that is carried out this state: the run goes on by
// itself and no decision of people is waited for.
func (s State) Executes() bool { return s.Holds() || s == StateWatch || s == StateEscalate }
