package render

import (
	"context"
	"errors"

	"jwksbot/runbook"
)

// Refusal is the private answer to somebody whose wish was not carried
// out. A refusal explains itself; of any other error people learn only what
// they can do, and the log has the rest.
func Refusal(err error) string {
	var refusal *runbook.Refusal
	var busy *runbook.BusyError
	var ledger *runbook.LedgerError
	switch {
	case errors.As(err, &refusal):
		s := prose(refusal.Text, limitVerdict)
		if len(refusal.People) > 0 {
			s += " Allowed are: " + peopleText(refusal.People) + "."
		}
		return s
	case errors.As(err, &busy):
		return "Not now: " + prose(busy.Error(), LimitSentence) + "."
	case errors.Is(err, runbook.ErrUnknownRun):
		return "This button does not belong to any run that jwksbot knows. Start again with `/jwks-flush`."
	case errors.Is(err, runbook.ErrMoved):
		return "Somebody was faster: the run has moved on. Its message shows where it stands."
	case errors.As(err, &ledger) && ledger.Away && !ledger.Lost:
		return "The journal is unavailable at the moment. Nothing is lost; try again in a minute."
	case errors.As(err, &ledger):
		return "jwksbot's journal does not work: " + prose(ledger.Advice, LimitSentence) + ". Nothing was decided. Try again once that is fixed."
	case errors.Is(err, context.DeadlineExceeded):
		return "This took too long and was abandoned. Try again; if this was about a run, the run's message shows its state."
	case errors.Is(err, context.Canceled):
		return "jwksbot is restarting. Try again in a few seconds; if this was about a run, the run's message shows its state."
	}
	return "jwksbot could not do this because of an internal error; its log has the details. Try again in a minute; if this was about a run, the run's message shows its state."
}

func peopleText(ids []string) string {
	var names []string
	for i, id := range ids {
		if i == mentioned {
			names = append(names, moreLine(len(ids)-i))
			break
		}
		names = append(names, mentionID(id))
	}
	return runbook.AndList(names)
}
