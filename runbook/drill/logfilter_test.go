package drill

import "testing"

func TestLogFilter(t *testing.T) {
	const line = "2026-11-22T10:00:00.000Z\t3f2a\tERROR\tKidNotFoundInJwksError: JWK for kid \"a+b/=\" not found in the JWKS\n"
	for _, tt := range []struct {
		pattern string
		want    bool
	}{
		{"", true},
		{"ERROR", true},
		{"error", false}, // case counts
		{"KidNotFound", true},
		{"ERROR KidNotFoundInJwksError", true},
		{"ERROR invalid_signature", false},
		{"?invalid_signature ?KidNotFoundInJwksError", true},
		{`?invalid_signature ?"not found in the JWKS"`, true},
		{`?invalid_signature ?"JWKS not found"`, false},
		{`"for kid \"a+b/=\""`, true},
		{"-ERROR", false},
		{"KidNotFoundInJwksError -INFO", true},
		{"?invalid_signature ERROR", true}, // any-terms are ignored beside others
	} {
		f, err := parseFilter(tt.pattern)
		if err != nil || f.matches(line) != tt.want {
			t.Errorf("%s: %v, %v; want %v", tt.pattern, f.matches(line), err, tt.want)
		}
	}
	for _, bad := range []string{"a-b", `"open`, "?", "a.b", "{ $.status = 401 }", "[a, b]", "%re%", `""`} {
		if _, err := parseFilter(bad); err == nil {
			t.Errorf("%s: accepted", bad)
		}
	}
}
