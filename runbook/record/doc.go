// Package record tells what a run was to people who were not there: the
// [Timeline] of an incident as Markdown or data, the chart's series, and the
// [NextStep]s that the runbook offers for a run as it stands.
//
// It reads runs and audit rows and changes nothing. Whatever it writes is cleaned:
// text of others can neither break the layout nor hide in it, and no secret is
// repeated.
package record
