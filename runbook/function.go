package runbook

import (
	"strings"
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

// LogStreams is what is known of the function's execution environments: each
// writes a log stream of its own.
type LogStreams struct {
	New    int       // streams whose first event is after the moment in question
	Newest time.Time // first event of the newest stream
	Old    int       // streams from before that were still written to after it
}

// InvokedBy says that the authoriser invokes this function. Accounts and Regions
// may have functions of the same name: where both ARNs are known they decide.
func (ev FunctionEvidence) InvokedBy(a GatewayAuthoriser) bool {
	if ev.ARN != "" && a.FunctionARN != "" {
		return ev.ARN == a.FunctionARN
	}
	return FunctionName(ev.Function) == FunctionName(a.Function)
}

// FunctionName is the bare name in a function's name, ARN or alias ARN.
func FunctionName(s string) string {
	if _, rest, ok := strings.Cut(s, ":function:"); ok {
		s = rest
	}
	name, _, _ := strings.Cut(s, ":")
	return name
}

// RestartText says what a restart would have to do, or why it is refused.
func (ev *FunctionEvidence) RestartText() string {
	switch {
	case ev.Refusal != "":
		return "a restart would be refused: " + ev.Refusal
	}
	return "a restart " + ev.Mode.Text(ev.Qualifier, ev.Provisioned)
}

// Text says how a restart gets new execution environments, as what follows
// "a restart".
func (m RestartMode) Text(alias string, provisioned int) string {
	switch m {
	case RestartLatest:
		return "updates the configuration of `$LATEST` and waits for it; code, environment, role and layers stay as they are"
	case RestartAlias:
		s := "publishes a new version of the same code and moves alias " + Quote(alias) + " to it; it can be moved back"
		if provisioned > 0 {
			s += "; it waits until " + Plural(provisioned, "provisioned environment is", "provisioned environments are") + " ready"
		}
		return s
	}
	return "is not possible for what is invoked"
}

// InvokedText names the function as it is invoked.
func InvokedText(function, qualifier, version string) string {
	if qualifier == "" {
		return Quote(function) + " as `$LATEST`"
	}
	s := Quote(Qualified(function, qualifier))
	if version != "" && version != qualifier {
		s += " (version " + Quote(version) + ")"
	}
	return s
}

// Qualified writes a function with its alias or version.
func Qualified(function, qualifier string) string {
	if qualifier == "" {
		return function
	}
	return function + ":" + qualifier
}
