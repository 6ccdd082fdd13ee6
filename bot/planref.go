package bot

import (
	"regexp"
	"strconv"

	"jwksbot/runbook"
)

// planRef is all that a button of a card carries: which run it is about, and
// which of its plans the card shows. It grants nothing and says nothing of what
// would be done; the desk looks both up. Generation is zero in a button that
// needs no plan, and in those of a card from before there were any.
type planRef struct {
	run        string
	generation int
}

// planRefForm is the only form of a reference; anything else was forged or
// edited.
var planRefForm = regexp.MustCompile(`^([0-9]{4}-[a-z0-9]{8})(?:/([1-9][0-9]{0,5}))?$`)

// refOf refers to the present plan of a run.
func refOf(r runbook.Run) planRef { return planRef{r.ID, r.Generation} }

// String is the value of a button or of a form's private metadata.
func (p planRef) String() string { return p.run + "/" + strconv.Itoa(p.generation) }

// parsePlanRef reads what a button or a form carries.
func parsePlanRef(value string) (planRef, bool) {
	m := planRefForm.FindStringSubmatch(value)
	if m == nil {
		return planRef{}, false
	}
	generation, _ := strconv.Atoi(m[2]) // "" is a card from before there were plans
	return planRef{m[1], generation}, true
}
