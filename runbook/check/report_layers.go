package check

import (
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

// The members "gateway" and "authoriser" of a report: read is false when the
// step was skipped or brought nothing.
type (
	gatewayJSON struct {
		Read         bool            `json:"read"`
		Kind         runbook.APIKind `json:"kind"`
		ID           string          `json:"id"`
		Name         string          `json:"name"`
		Stage        string          `json:"stage"`
		Requests     float64         `json:"requests"`
		ClientErrors float64         `json:"client_errors"`
		ServerErrors float64         `json:"server_errors"`
		Spike        bool            `json:"spike"`
		// Denied counts 401 and 403 in the access log; -1 when it was not read.
		Denied        int              `json:"denied"`
		DeniedAtLeast bool             `json:"denied_at_least"`
		Problems      []string         `json:"problems"`
		Authorisers   []authoriserJSON `json:"authorisers"`
	}
	authoriserJSON struct {
		ID               string                 `json:"id"`
		Name             string                 `json:"name"`
		Kind             runbook.AuthoriserKind `json:"kind"`
		ResultTTLSeconds int64                  `json:"result_ttl_seconds"`
		Function         string                 `json:"function"`
		Qualifier        string                 `json:"qualifier"`
		Issuer           string                 `json:"issuer"`
	}
	functionJSON struct {
		Read         bool                `json:"read"`
		Function     string              `json:"function"`
		Qualifier    string              `json:"qualifier"`
		Version      string              `json:"version"`
		Runtime      string              `json:"runtime"`
		LastModified string              `json:"last_modified"` // RFC 3339; "" when not known
		State        string              `json:"state"`
		UpdateStatus string              `json:"update_status"`
		Provisioned  int                 `json:"provisioned"`
		Invoked      string              `json:"invoked"` // the function that the gateway invokes
		Restart      runbook.RestartMode `json:"restart"`
		Refusal      string              `json:"refusal"`
	}
)

func printGateway(ev *runbook.GatewayEvidence) gatewayJSON {
	out := gatewayJSON{Denied: -1, Problems: []string{}, Authorisers: []authoriserJSON{}}
	if ev == nil {
		return out
	}
	turn, _ := diagnose.FindChangePoint(ev)
	out.Read, out.Spike, out.Problems = true, turn.Spike, NonNil(ev.Problems)
	out.Kind, out.ID, out.Name, out.Stage = ev.Kind, ev.ID, ev.Name, ev.Stage
	for _, p := range ev.Points {
		out.Requests += p.Requests
		out.ClientErrors += p.ClientErrors
		out.ServerErrors += p.ServerErrors
	}
	if ev.Denied != nil {
		out.Denied, out.DeniedAtLeast = *ev.Denied, ev.AtLeast
	}
	for _, a := range ev.Authorisers {
		out.Authorisers = append(out.Authorisers, authoriserJSON{a.ID, a.Name, a.Kind, int64(a.ResultTTL / time.Second), a.Function, a.Qualifier, a.Issuer})
	}
	return out
}

func printFunction(ev *runbook.FunctionEvidence) functionJSON {
	if ev == nil {
		return functionJSON{}
	}
	out := functionJSON{Read: true, Function: ev.Function, Qualifier: ev.Qualifier, Version: ev.Version, Runtime: ev.Runtime,
		State: ev.State, UpdateStatus: ev.UpdateStatus, Provisioned: ev.Provisioned, Invoked: ev.Invoked, Restart: ev.Mode, Refusal: ev.Refusal}
	if !ev.LastModified.IsZero() {
		out.LastModified = ev.LastModified.UTC().Format(time.RFC3339)
	}
	return out
}
