package bot

import (
	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// modalInput is what the request modal starts with.
type modalInput struct {
	Targets                          []string
	Target, Ticket, Reason, Override string
	AllowAll                         []string // targets where the whole group may be flushed
	Channel                          string   // where the card will stand
	Verdict                          string   // the sentence of the last check, if there was one
}

func flushModal(in modalInput) slack.ModalViewRequest {
	return slack.ModalViewRequest{Type: slack.VTModal}
}

func parseFlushModal(v slack.View) (runbook.Request, map[string]string) {
	return runbook.Request{}, nil
}

func denyModal(runID string) slack.ModalViewRequest {
	return slack.ModalViewRequest{Type: slack.VTModal}
}

func parseDenyModal(v slack.View) (runID, reason string) { return v.PrivateMetadata, "" }
