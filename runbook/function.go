package runbook

import (
	"context"
	"time"
)

// RestartMode is how a function gets new execution environments.
type RestartMode string

// Modes of a restart.
const (
	// RestartLatest: $LATEST is invoked, a configuration update renews it.
	RestartLatest RestartMode = "latest"
	// RestartAlias: an alias is invoked, it has to move to a new version.
	RestartAlias RestartMode = "alias"
	// RestartNone: what is invoked cannot be renewed; Refusal says why.
	RestartNone RestartMode = "none"
)

// FunctionEvidence is the authoriser's Lambda function as it stands, and what a
// restart of it would have to do. It holds no environment variable.
type FunctionEvidence struct {
	Function     string
	ARN          string // without qualifier; tells accounts and Regions apart
	Qualifier    string // alias or version that is invoked; "" is $LATEST
	Version      string // the version behind it
	Runtime      string
	LastModified time.Time
	State        string // Active, Pending, Inactive, Failed
	UpdateStatus string // Successful, InProgress, Failed
	Provisioned  int    // execution environments kept ready for the qualifier
	// Invoked is the function that the gateway really invokes; "" when the
	// gateway was not asked or invokes none.
	Invoked string
	Mode    RestartMode
	// Refusal says why a restart is refused, one sentence with what to do; ""
	// when nothing stands against it.
	Refusal string
	// Revision is the RevisionId that a restart is bound to: the one of $LATEST,
	// and in mode alias the one of the alias as well.
	Revision      string
	AliasRevision string
	CodeSHA       string // of the version that is invoked
}

// RestartPlan is what a restart will do, as it was approved.
type RestartPlan struct {
	Function      string      `json:"function"`
	Qualifier     string      `json:"qualifier,omitempty"`
	Version       string      `json:"version"` // that is invoked before
	Mode          RestartMode `json:"mode"`
	Revision      string      `json:"revision"`
	AliasRevision string      `json:"alias_revision,omitempty"`
	CodeSHA       string      `json:"code_sha"`
	Provisioned   int         `json:"provisioned,omitempty"`
}

// RestartResult is what a restart did.
type RestartResult struct {
	Version   string    `json:"version"`    // that is invoked now
	Previous  string    `json:"previous"`   // that was invoked before; in mode alias what can be moved back to
	UpdatedAt time.Time `json:"updated_at"` // when the update was finished: environments from before are not used any more
	Proof     []string  `json:"proof"`      // single facts that were read back
}

// restarter is the authoriser's function.
type restarter interface {
	// Inspect reads the function that the gateway invokes: qualifier is "" for
	// $LATEST.
	Inspect(ctx context.Context, qualifier string) (FunctionEvidence, error)
	// Restart carries out the plan for a run and waits until the update is
	// finished. It may be repeated for the same run after a crash: what the run
	// has done already is recognised by the run's id in the descriptions that it
	// wrote, and not done again. A plan that no longer fits is a *Refusal, and
	// nothing was written. progress, which may be nil, is told in words what is
	// waited for.
	Restart(ctx context.Context, plan RestartPlan, run string, progress func(string)) (RestartResult, error)
	// MoveBack puts the alias of the plan back to the version from before.
	MoveBack(ctx context.Context, plan RestartPlan, run string) (RestartResult, error)
}

// LogStreams is what is known of the function's execution environments: each
// writes a log stream of its own.
type LogStreams struct {
	New    int       // streams whose first event is after the moment in question
	Newest time.Time // first event of the newest stream
	Old    int       // streams from before that were still written to after it
}

// streamSource tells new execution environments from old ones.
type streamSource interface {
	Streams(ctx context.Context, after time.Time) (LogStreams, error)
}

// successSource counts the tokens that the authoriser accepted.
type successSource interface {
	Successes(ctx context.Context, since, until time.Time) (count int, kids []string, atLeast bool, err error)
}
