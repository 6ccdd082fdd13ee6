package render

import (
	"regexp"
	"strconv"

	"jwksbot/runbook"
)

// PlanRef is all that a button of a card carries: which run it is about, and
// which of its plans the card shows. It grants nothing and says nothing of what
// would be done; the service looks both up. Generation is zero in a button that
// needs no plan, and in those of a card from before there were any.
type PlanRef struct {
	Run        string
	Generation int
}

// planRefForm is the only form of a reference; anything else was forged or
// edited.
var planRefForm = regexp.MustCompile(`^([0-9]{4}-[a-z0-9]{8})(?:/([1-9][0-9]{0,5}))?$`)

// planRefOf refers to the present plan of a run.
func planRefOf(r runbook.Run) PlanRef { return PlanRef{r.ID, r.Generation} }

// String is the value of a button or of a form's private metadata.
func (p PlanRef) String() string { return p.Run + "/" + strconv.Itoa(p.Generation) }

// ParsePlanRef reads what a button or a form carries.
func ParsePlanRef(value string) (PlanRef, bool) {
	m := planRefForm.FindStringSubmatch(value)
	if m == nil {
		return PlanRef{}, false
	}
	generation, _ := strconv.Atoi(m[2]) // "" is a card from before there were plans
	return PlanRef{m[1], generation}, true
}
