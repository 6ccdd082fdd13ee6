// Package runbooktest is for tests: the [World] is the whole domain around a stale
// cache, the service and the machine over stand-ins, at three in the morning of
// an incident; [Surroundings] are its gateway, function, logs and people to call.
package runbooktest
