package runbook

import (
	"cmp"
	"fmt"
	"strings"
)

// Task is one step of a plan, in words that fit into a sentence.
type Task struct {
	Do    string // follows "to": "flush 3 entries"
	Short string // the same without counts and code marks: "flush"
	Done  string // "flushed"
	Noun  string // "flush"
	Of    string // what exactly it acts on, where Do does not say so
}

// Tasks are the steps of the plan in their order.
func (p Plan) Tasks() []Task {
	var out []Task
	if r := p.Restore; r != nil {
		out = append(out, Task{"undo run " + Quote(r.Of), "undo run " + r.Of, "undone", "undo", Plural(r.Writes(), "entry", "entries") + " to write back"})
	} else if p.Has(RestoreCache) {
		out = append(out, Task{"undo a run", "undo a run", "undone", "undo", ""})
	}
	if p.Has(FlushCache) {
		out = append(out, Task{"flush " + p.Extent(), "flush", "flushed", "flush", ""})
	}
	if p.Has(RestartAuthoriser) {
		t := Task{Do: "restart the authoriser", Done: "restarted", Noun: "restart"}
		if t.Short = t.Do; p.Restart != nil {
			t.Of = p.Restart.Invoked()
		}
		out = append(out, t)
	}
	if p.Has(FlushGateway) {
		t := Task{Do: "flush the gateway's cache", Done: "gateway flushed", Noun: "flush of the gateway's cache"}
		if t.Short = t.Do; p.Gateway != nil {
			t.Of = p.Gateway.Resource()
		}
		out = append(out, t)
	}
	return out
}

// Noun is what starts with the plan: "flush".
func (p Plan) Noun() string {
	if tasks := p.Tasks(); len(tasks) > 0 {
		return tasks[0].Noun
	}
	return "run"
}

// Task says what the plan does, as what follows "to".
func (p Plan) Task() string { return p.tasks(func(t Task) string { return t.Do }) }

// ShortTask is Task without counts, for a title.
func (p Plan) ShortTask() string { return p.tasks(func(t Task) string { return t.Short }) }

// ExactTask is Task with what each step acts on, for the audit trail.
func (p Plan) ExactTask() string {
	return p.tasks(func(t Task) string {
		if t.Do = strings.ReplaceAll(t.Do, "`", ""); t.Of == "" {
			return t.Do
		}
		return fmt.Sprintf("%s (%s)", t.Do, t.Of)
	})
}

// DoneTask says what the plan did, with what else can be said of it.
func (p Plan) DoneTask(more ...string) string {
	var parts []string
	for _, t := range p.Tasks() {
		parts = append(parts, t.Done)
	}
	return cmp.Or(AndList(append(parts, more...)), "done")
}

func (p Plan) tasks(word func(Task) string) string {
	var parts []string
	for _, t := range p.Tasks() {
		parts = append(parts, word(t))
	}
	return AndList(parts)
}
