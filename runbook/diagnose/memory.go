package diagnose

import (
	"fmt"
	"time"

	"jwksbot/runbook"
)

// staleMemory: the cache lacks no live key, and the authoriser still rejects
// signatures or does not know a live kid. Expired tokens name live kids as
// well, so that failures of the signature are counted by themselves.
func (f *Facts) staleMemory() (runbook.Verdict, bool) {
	recent, goingOn := f.failing()
	if !goingOn || !f.nothingLacks() {
		return runbook.Verdict{}, false
	}
	cold := len(f.All()) == 0
	if cold && f.cannotLoad() {
		return runbook.Verdict{}, false // it cannot load keys at all: a restart would not change that
	}
	signature := f.class(runbook.ClassBadSignature, runbook.ClassUnknownKid, runbook.ClassNoKey)
	_, strange := f.strangeKids()
	if signature-strange <= noise {
		return runbook.Verdict{}, false
	}
	if f.failsOnLive() == 0 && (!f.AllSame() || (signature-strange)*2 <= f.Logged.Count-strange) {
		return runbook.Verdict{}, false // what fails is not live, or nothing says that it is
	}
	holds := "The cache already holds the live keys"
	if cold {
		holds = "The cache holds no old keys"
	}
	v := critical(StaleMemory, "%s, yet the authoriser still rejects tokens (%s %s): it keeps old keys in memory. Restart it; a flush would change nothing.", holds, runbook.Plural(recent, "failure", "failures"), f.recentText())
	v.Because = append(append(f.failureLine(), f.functionLines()...), f.afterglow()...)
	v.Recommended = f.withGateway(runbook.RestartAuthoriser)
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "no cached key set lacks a live key"}}
	v.WouldChange = "failures that end by themselves, or a cache that differs from live"
	if f.Function != nil && f.Function.Refusal != "" {
		v.Summary = fmt.Sprintf("%s, yet the authoriser still rejects tokens (%s %s): it keeps old keys in memory. It has to be restarted, but as things stand jwksbot would refuse: first do what the reason below says. A flush would change nothing.", holds, runbook.Plural(recent, "failure", "failures"), f.recentText())
	}
	if since, ok := f.renewed(); ok {
		v.Summary = fmt.Sprintf("%s, and the authoriser was renewed %s ago, yet it still rejects tokens (%s %s): old keys are baked into its package, a layer or a snapshot. Rebuild and redeploy it.", holds, runbook.Duration(since), runbook.Plural(recent, "failure", "failures"), f.recentText())
		v.Recommended = nil
		v.Against = append(v.Against, runbook.Advice{Mitigation: runbook.RestartAuthoriser, Reason: "it was renewed after the flush already, and came up with old keys"})
		v.WouldChange = "failures that end after a deployment that fetches keys at its start"
	}
	return v, true
}

// failsOnLive counts the failures that name a live kid.
func (f *Facts) failsOnLive() (n int) {
	for _, k := range f.Logged.Kids {
		if f.inLive(k.Kid) {
			n += k.Count
		}
	}
	return n
}

// bakedAfter is how long after a renewal old environments may still answer.
const bakedAfter = 5 * time.Minute

// renewed says that the authoriser's function was changed after the flush, and
// that its old environments have had time to end: what it holds now is not the
// memory of before.
func (f *Facts) renewed() (ago time.Duration, ok bool) {
	if f.Function == nil || f.Flushed.IsZero() || !f.Function.LastModified.After(f.Flushed) {
		return 0, false
	}
	ago = f.At.Sub(f.Function.LastModified)
	return ago, ago > bakedAfter
}

// functionLines say what is known of the function that would be restarted.
func (f *Facts) functionLines() []string {
	if f.Function == nil {
		return nil
	}
	name := "authoriser " + runbook.Quote(runbook.Qualified(runbook.FunctionName(f.Function.Function), f.Function.Qualifier))
	if !f.Function.LastModified.IsZero() && !f.At.IsZero() {
		name += ", last changed " + runbook.Duration(max(0, f.At.Sub(f.Function.LastModified))) + " ago"
	}
	if f.Function.Refusal != "" {
		return []string{name + ": a restart would be refused as things stand"} // the reason stands beside the advice
	}
	return []string{name + ": " + f.Function.RestartText()}
}
