package telemetry

import (
	"slices"
	"strings"
	"testing"
)

// matchesPattern is what CloudWatch Logs does with a pattern of optional terms:
// one of them occurs in the event, with the case as written.
func matchesPattern(t *testing.T, pattern, line string) bool {
	t.Helper()
	for rest := pattern; rest != ""; rest = strings.TrimPrefix(rest, " ") {
		if rest[0] != '?' {
			t.Fatalf("pattern goes on with %q: not an optional term", rest)
		}
		rest = rest[1:]
		var term string
		if strings.HasPrefix(rest, `"`) {
			var closed bool
			term, rest, closed = strings.Cut(rest[1:], `"`)
			if !closed {
				t.Fatalf("quote is not closed before %q", rest)
			}
		} else {
			n := strings.IndexByte(rest+" ", ' ')
			term, rest = rest[:n], rest[n:]
			if strings.ContainsFunc(term, func(r rune) bool { return r > 0x7f || !isAlnum(byte(r)) && r != '_' }) {
				t.Fatalf("term %q must be quoted", term)
			}
		}
		if term == "" {
			t.Fatal("an empty term matches everything")
		}
		if strings.Contains(line, term) {
			return true
		}
	}
	return false
}

func TestDefaultPatternFindsEveryShape(t *testing.T) {
	p := DefaultPattern()
	if len(p) > maxPattern {
		t.Errorf("pattern has %d characters, CloudWatch Logs takes %d", len(p), maxPattern)
	}
	if !strings.HasPrefix(p, "?invalid_signature ") {
		t.Errorf("pattern %q does not begin with invalid_signature", p)
	}
	for _, s := range shapes {
		if !matchesPattern(t, p, s.line) {
			t.Errorf("not found by the default pattern: %s", s.line)
		}
	}
}

func TestDefaultPatternFindsTheCorpus(t *testing.T) {
	for _, s := range corpus(t) {
		if !matchesPattern(t, DefaultPattern(), s[0]) {
			t.Errorf("not found by the default pattern: %s", s[0])
		}
	}
}

// hasWord is the stricter reading of AWS's words on terms: they match whole
// words only.
func hasWord(line, term string) bool {
	part := func(i int) bool { return i >= 0 && i < len(line) && (isAlnum(line[i]) || line[i] == '_') }
	for from := 0; ; {
		i := strings.Index(line[from:], term)
		if i < 0 {
			return false
		}
		i += from
		if !part(i-1) && !part(i+len(term)) {
			return true
		}
		from = i + 1
	}
}

// Where terms match whole words only, few messages are lost.
func TestDefaultPatternInWholeWords(t *testing.T) {
	var lines []string
	for _, s := range shapes {
		if Failure(s.class) {
			lines = append(lines, s.line)
		}
	}
	lost := 0
	for _, line := range lines {
		if !slices.ContainsFunc(failureTerms, func(term string) bool { return hasWord(line, term) }) {
			lost++
			t.Logf("needs terms that match within words: %s", line)
		}
	}
	if lost > len(lines)/12 {
		t.Errorf("%d of %d messages are lost", lost, len(lines))
	}
}

// Each phrase of the table is found as a sentence, at the beginning of one, and
// in snake_case, unless it is the rest of a sentence that is found by its
// beginning ("failed to", "did not").
func TestDefaultPatternFindsPhrases(t *testing.T) {
	all, lost := 0, 0
	for _, r := range rules {
		for _, p := range r.any {
			if !Failure(r.class) || strings.ContainsAny(p, ":=") {
				continue // a field and its value
			}
			for _, s := range []string{p, strings.ToUpper(p[:1]) + p[1:], strings.ReplaceAll(p, " ", "_")} {
				all++
				if !matchesPattern(t, DefaultPattern(), s) {
					lost++
				}
			}
		}
	}
	if lost > all/6 {
		t.Errorf("%d of %d spellings are lost", lost, all)
	}
	t.Logf("%d of %d spellings need the beginning of their sentence", lost, all)
}

// What is logged for every request must not be read page after page.
func TestDefaultPatternLeavesSuccessAlone(t *testing.T) {
	for _, line := range append(slices.Clone(acceptedLines), []string{
		"START RequestId: 3f2a Version: $LATEST",
		"END RequestId: 3f2a",
		"REPORT RequestId: 3f2a Duration: 2.10 ms Billed Duration: 3 ms Memory Size: 128 MB",
		"INIT_START Runtime Version: nodejs:22.v5 Runtime Version ARN: arn:aws:lambda:eu-west-2::runtime:0",
		`{"level":"info","message":"token validated","kid":"k1","iss":"https://idp","aud":"api","exp":1,"nbf":1}`,
		`Signature verified with key k1, issuer https://idp, audience api`,
		`{"event":"allow","kid":"k1","error":null,"issuer":"https://idp"}`,
		`{"level":"INFO","location":"handler:12","message":"token validated","timestamp":"2026-11-22 10:00:00,000+0000","service":"authoriser","cold_start":true,"function_memory_size":"128","memoryLimitInMB":"128","xray_trace_id":"1-2-3"}`,
	}...) {
		if matchesPattern(t, DefaultPattern(), line) {
			t.Errorf("the default pattern finds %s", line)
		}
	}
}

// Patterns are compiled when they are first needed, which must not be the first
// time that somebody sees a mistake in one.
func TestPatternsCompile(t *testing.T) {
	for _, r := range rules {
		if r.re != nil {
			r.re()
		}
	}
	for _, f := range issuerForms {
		f.re()
	}
	sureKid()
	matchesKid()
	keyQuoted()
	keyNamed()
}
