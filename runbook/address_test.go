package runbook

import (
	"net/url"
	"testing"

	"jwksbot/runbook/outbound"
)

func TestPrivate(t *testing.T) {
	for raw, want := range map[string]bool{
		"https://idp.example/keys": true, "http://localhost:8080": true, "http://127.0.0.1/keys": true, "http://127.9.9.9": true, "http://[::1]:80": true,
		"http://idp.example": false, "http://10.0.0.1": false, "http://localhost.example": false, "http://127.0.0.1.example": false,
		"ftp://localhost": false, "localhost:80": false, "": false,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := outbound.Private(u); got != want {
			t.Errorf("Private(%q) = %v", raw, got)
		}
	}
}
