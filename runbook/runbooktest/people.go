package runbooktest

import (
	"context"
	"strings"
	"sync"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// Directory is a workspace with people and user groups.
type Directory struct {
	mu     sync.Mutex
	kinds  map[string]approve.Kind
	Groups map[string][]string
	Fresh  int // answers that had to be fresh
	Err    error
}

// Person answers from the test's lists.
func (d *Directory) Person(_ context.Context, id string) (approve.Person, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kind, ok := d.kinds[id]
	if !ok {
		kind = approve.KindUnknown
	}
	return approve.Person{PersonRef: runbook.PersonRef{ID: id, Name: strings.ToLower(id)}, Kind: kind}, d.Err
}

// Members answers from the test's lists.
func (d *Directory) Members(_ context.Context, group string, fresh bool) (approve.Group, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fresh {
		d.Fresh++
	}
	if d.Err != nil {
		return approve.Group{}, d.Err
	}
	return approve.Group{Members: d.Groups[group]}, nil
}

// Make gives people another kind.
func (d *Directory) Make(kind approve.Kind, ids ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		d.kinds[id] = kind
	}
}
