package execute_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/budget"
	"jwksbot/runbook/check"
	"jwksbot/runbook/execute"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

var worlds = flag.Int("worlds", 500, "random worlds of the test of approvals")

// TestNothingIsDeletedThatNobodyApproved drives random worlds: entries come, go,
// are rewritten and change their owner, more come than can be copied, people
// press the buttons of any card that was ever shown, and the process dies and
// comes back at any moment. A small model of what each card showed judges every
// single deletion.
func TestNothingIsDeletedThatNobodyApproved(t *testing.T) {
	base := *standin.Seed
	if base == 0 {
		base = rand.Uint64()
	}
	total := counts{}
	for i := range uint64(*worlds) {
		w := newApprovalWorld(t, standin.NewShuffler(base, i))
		w.live()
		total.add(w.counts)
		if t.Failed() {
			t.Fatalf("world %d of -seed=%d:\n%s", i, base, strings.Join(w.story, "\n"))
		}
	}
	t.Logf("%d worlds: %s", *worlds, total)
	for _, what := range []string{"cards", "approved", "refused", "stale clicks", "listed deletions", "deletions by name", "deaths", "whole flushes"} {
		if total[what] == 0 && *worlds >= 500 {
			t.Errorf("no world had any %s: the test tries less than it says", what)
		}
	}
}

// counts counts what happened, so that a test that tries nothing is noticed.
type counts map[string]int

func (a counts) add(b counts) {
	for k, n := range b {
		a[k] += n
	}
}

func (a counts) String() string {
	var parts []string
	for k, n := range a {
		parts = append(parts, fmt.Sprintf("%d %s", n, k))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// shownCard is what the people saw when a plan was put before them: the plan,
// and what every entry of it said then.
type shownCard struct {
	run        string
	generation int
	plan       runbook.Plan
	override   bool
	values     map[string]string
}

// approvalWorld is the domain around a cache that never stands still, and the
// model: cards that were shown, and who approved which.
type approvalWorld struct {
	standin.Shuffler
	t       *testing.T
	o       *runbooktest.World
	crowded bool // more entries come than can be copied
	cards   []shownCard
	yes     map[string]map[string]bool // run/generation → who approved it
	now     string                     // the run that is being executed
	gone    int                        // deletions of this execution
	// readable are the names that a listing read when the execution began.
	readable []string
	story    []string
	counts   counts
}

func newApprovalWorld(t *testing.T, r standin.Shuffler) *approvalWorld {
	w := &approvalWorld{Shuffler: r, t: t, o: runbooktest.NewWorld(t), yes: map[string]map[string]bool{}, counts: counts{}}
	w.o.Target.Decode = decodeOwned
	w.o.Target.Patterns = []string{"jwks:*"}
	w.o.Target.AllowAll = true
	w.o.Target.Policy.Required = 1 + r.IntN(2)
	w.o.Target.Policy.Cooldown = 0
	w.o.Cache.Others = int64(r.IntN(3) * 500)
	if w.crowded = r.IntN(2) == 0; w.crowded {
		w.o.Cache.Limit = 2 + r.IntN(8)
	}
	w.o.Cache.OnGone = w.judge
	return w
}

// decodeOwned reads what decode reads, and an owner before it: "of URL keys a=1".
func decodeOwned(e runbook.RawEntry, b *budget.Budget) runbook.Reading {
	words := strings.Fields(string(e.Value))
	if len(words) < 2 || words[0] != "of" {
		return standin.Decode(e, b)
	}
	e.Value = []byte(strings.Join(words[2:], " "))
	r := standin.Decode(e, b)
	r.Issuer = words[1]
	return r
}

func alienValue(v string) bool { return strings.HasPrefix(v, "of https://other.example ") }

func alienName(n string) bool { return strings.Contains(n, "https://other.example") }

// ownValue names the target's own issuer in its envelope, which knows better
// than the name.
func ownValue(v string) bool { return strings.HasPrefix(v, "of https://idp.example/pool ") }

func (w *approvalWorld) say(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

func (w *approvalWorld) pick(of ...string) string { return of[w.IntN(len(of))] }

// live lets some time go by in the world. While a run is under way, others
// change the cache between any two of its states; while one waits, they do
// before the next click.
func (w *approvalWorld) live() {
	for range 20 + w.IntN(30) {
		n := w.IntN(20)
		switch under := len(w.underWay()) > 0; {
		case n == 0:
			w.o.Clock.Advance(time.Duration(w.IntN(400)) * time.Second)
		case under && n < 10:
			w.execute()
		case n < 10:
			w.press()
		case n < 12:
			w.request()
		default:
			w.change()
		}
		w.see()
	}
}

// underWay are the runs of which a process carries out the next state.
func (w *approvalWorld) underWay() []runbook.Run {
	runs, err := w.o.Ledger.Runs(w.t.Context(), runbook.Filter{States: []runbook.State{runbook.StateApproved, runbook.StateSnapshot, runbook.StateFlush, runbook.StateVerify}})
	if err != nil {
		w.t.Fatal(err)
	}
	return runs
}

func (w *approvalWorld) name() string {
	return w.pick("jwks:a", "jwks:b", "jwks:c", "jwks:\xac\xed\x00\x05t", "jwks:\xac\xee\x00\x05t", `jwks:\x00`, "jwks:https://other.example/x", fmt.Sprintf("jwks:n%d", w.IntN(12)))
}

// change is whatever others do to the cache. The bot's last look is older than
// that: a change in the moment between a look and a deletion is nobody's fault.
func (w *approvalWorld) change() {
	w.o.Clock.Advance(execute.LookedAt + time.Second)
	name := w.name()
	n := w.IntN(12)
	if w.crowded && n > 7 {
		n = 2
	}
	switch {
	case n < 2:
		w.o.Cache.Drop(name)
		w.say("%q goes", name)
	case n == 2:
		many := 30 + w.IntN(200)
		for i := range many {
			w.o.Cache.Set(fmt.Sprintf("jwks:bulk%03d", i), "keys a=1")
		}
		w.say("%d entries come", many)
	case n == 3:
		for i := range 230 {
			w.o.Cache.Drop(fmt.Sprintf("jwks:bulk%03d", i))
		}
		w.say("the many entries go")
	case n == 4:
		keys := w.pick("b=2", "c=3", "b=2")
		w.o.Live.Become(standin.Always(standin.Good(keys)))
		w.say("%s is live", keys)
	case n == 5:
		w.o.Cache.Set(name, "of https://other.example "+w.pick("keys a=1", "keys z=9"))
		w.say("%q is another issuer's", name)
	default:
		value := w.pick("keys a=1", "keys a=1", "keys  a=1", "keys d=4", "keys b=2", "<html>", "of https://idp.example/pool keys a=1")
		w.o.Cache.Set(name, value)
		w.say("%q = %q", name, value)
	}
	w.o.Runner.Forget("production")
}

// request asks for a flush, with or without a word against the verdict.
func (w *approvalWorld) request() {
	req := runbooktest.Request("U0ANN")
	if w.IntN(3) == 0 || w.crowded && w.IntN(2) == 0 {
		req.Override = "it must be"
	}
	if w.IntN(8) == 0 {
		req.Scope = runbook.ScopeAll
	}
	run, _, err := w.o.Service.Open(w.t.Context(), req, check.Silent{})
	if err != nil {
		w.say("request refused: %v", err)
		w.counts["refused"]++
		return
	}
	w.say("run %s requested, scope %s, override %q", run.ID, run.Plan.Scope, run.Override)
}

// see is the people looking at every card that is new.
func (w *approvalWorld) see() {
	runs, err := w.o.Ledger.Runs(w.t.Context(), runbook.Filter{States: []runbook.State{runbook.StatePending, runbook.StateApproved}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, run := range runs {
		if slices.ContainsFunc(w.cards, func(c shownCard) bool { return c.run == run.ID && c.generation == run.Generation }) {
			continue
		}
		w.counts["cards"]++
		w.cards = append(w.cards, w.card(run))
		w.say("card: run %s plan %d, %d listed, by name %t", run.ID, run.Generation, len(run.Plan.Entries), run.Plan.NoUndo)
	}
}

func (w *approvalWorld) card(run runbook.Run) shownCard {
	c := shownCard{run: run.ID, generation: run.Generation, plan: run.Plan, override: run.Override != "", values: map[string]string{}}
	for name, v := range w.o.Cache.Entries {
		c.values[name] = strings.Join(strings.Fields(v), " ")
	}
	return c
}

// listed are the names that a listing reads.
func (w *approvalWorld) listed() []string {
	names := slices.Sorted(maps.Keys(w.o.Cache.Entries))
	if limit := w.o.Cache.Limit; limit > 0 && len(names) > limit {
		return names[:limit]
	}
	return names
}

// press is a click on any card that was ever shown, by anybody.
func (w *approvalWorld) press() {
	if len(w.cards) == 0 {
		return
	}
	c := w.cards[w.IntN(len(w.cards))]
	if w.IntN(3) > 0 {
		c = w.cards[len(w.cards)-1]
	}
	click := approve.Click{Run: c.run, Generation: c.generation, By: w.pick("U0LIZ", "U0LEA", "U0ANN"), Kind: runbook.DecideApprove}
	if w.IntN(12) == 0 {
		click.Generation = 0
	}
	before := w.o.Run(w.t, c.run).Generation
	_, err := w.o.Service.Decide(w.t.Context(), click)
	w.say("%s approves plan %d of %s: %v", click.By, click.Generation, c.run, err)
	switch {
	case err != nil && click.Generation != before:
		w.counts["stale clicks"]++
	case err != nil:
		w.counts["refused"]++
	case click.Generation != before:
		w.t.Errorf("a click on plan %d counted for plan %d", click.Generation, before)
	case w.o.Run(w.t, c.run).State == runbook.StateObsolete:
	case click.By == "U0ANN":
		w.t.Error("the requester's own approval counted")
	default:
		w.counts["approved"]++
		id := planKey(c.run, c.generation)
		if w.yes[id] == nil {
			w.yes[id] = map[string]bool{}
		}
		w.yes[id][click.By] = true
	}
}

func planKey(run string, generation int) string { return fmt.Sprintf("%s/%d", run, generation) }

// execute carries out one state of a run, in a process that may die in it.
func (w *approvalWorld) execute() {
	runs := w.underWay()
	run := runs[w.IntN(len(runs))]
	w.now, w.gone, w.readable, w.o.Cache.OnDelete = run.ID, 0, w.listed(), nil
	if w.IntN(4) == 0 {
		died := errors.New("the process died")
		w.o.Cache.OnDelete = func(int) error { panic(died) }
	}
	tr, dead := w.advance(run)
	w.now, w.o.Cache.OnDelete = "", nil
	if dead {
		w.counts["deaths"]++
		w.say("run %s: the process dies in %s", run.ID, run.State)
		return
	}
	w.o.Apply(w.t, run.ID, tr)
	w.say("run %s: %s → %s %s", run.ID, tr.From, tr.To, tr.Outcome)
	if tr.From == runbook.StateFlush && run.Plan.Scope == runbook.ScopeAll {
		w.counts["whole flushes"]++
	}
}

// advance is Machine.Advance, of which a panic in the cache takes the answer.
func (w *approvalWorld) advance(run runbook.Run) (tr runbook.Transition, dead bool) {
	defer func() {
		if recover() != nil {
			dead = true
		}
	}()
	tr, err := w.o.Machine.Advance(w.t.Context(), run)
	return tr, err != nil
}

// judge is the model: it looks at one deletion and at the card that was
// approved for it.
func (w *approvalWorld) judge(name, value string, byName bool) {
	run := w.o.Run(w.t, w.now)
	i := slices.IndexFunc(w.cards, func(c shownCard) bool { return c.run == run.ID && c.generation == run.Generation })
	if i < 0 || len(w.yes[planKey(run.ID, run.Generation)]) < w.o.Target.Policy.Required {
		w.t.Errorf("%q is deleted by run %s, plan %d, which %d people approved", name, run.ID, run.Generation, len(w.yes[planKey(run.ID, run.Generation)]))
		return
	}
	c := w.cards[i]
	w.gone++
	switch {
	case c.plan.NoUndo && !c.override:
		w.t.Errorf("%q is deleted without a copy, which no override allowed", name)
	case c.plan.Scope == runbook.ScopeAll:
	case alienName(name) && !ownValue(value):
		w.t.Errorf("%q is deleted: its name says that it is another issuer's", name)
	case c.plan.NoUndo:
		w.counts["deletions by name"]++
		w.judgeByName(c, name, value)
	default:
		w.counts["listed deletions"]++
		w.judgeListed(c, name, value, byName)
	}
}

// judgeByName lets a flush by name take what matches, up to what was shown, and
// nothing that anybody could have seen to be another issuer's.
func (w *approvalWorld) judgeByName(c shownCard, name, value string) {
	if alienValue(value) && c.plan.Foreign == 0 && slices.Contains(w.readable, name) {
		w.t.Errorf("%q is deleted by name: it is another issuer's, and could be read", name)
	}
	shown := int(c.plan.Matching)
	if more := w.gone - shown; more >= 100 && more*10 > shown {
		w.t.Errorf("%d entries are deleted by name; the card showed %d", w.gone, shown)
	}
}

// judgeListed wants the entry on the card, saying what it said then.
func (w *approvalWorld) judgeListed(c shownCard, name, value string, byName bool) {
	shown, known := c.values[name]
	onCard := slices.ContainsFunc(c.plan.Entries, func(e runbook.PlanEntry) bool { return string(e.Name) == name })
	bare := func(s string) string {
		return strings.TrimPrefix(strings.Join(strings.Fields(s), " "), "of https://idp.example/pool ")
	}
	switch {
	case byName:
		w.t.Errorf("%q is deleted by name under a plan that lists entries", name)
	case !onCard || !known:
		w.t.Errorf("%q is deleted, and the card did not name it", name)
	case alienValue(value):
		w.t.Errorf("%q is deleted, and it is another issuer's", name)
	case bare(shown) != bare(value):
		w.t.Errorf("%q held %q on the card and is deleted holding %q", name, shown, value)
	}
}
