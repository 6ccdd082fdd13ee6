package runbook

type Policy struct{}
