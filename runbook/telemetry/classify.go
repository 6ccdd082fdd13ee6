package telemetry

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"jwksbot/runbook"
)

// Pattern recognises further log lines of one target: those that Regexp (RE2)
// matches are of Class; its group named kid, if it has one, is the kid.
type Pattern struct {
	Class  string
	Regexp string
}

// Classifier tells failures and key events apart from all other log lines. It
// is made once and may be used by many goroutines.
type Classifier struct {
	extra []extraPattern
}

// phraseTable is the table of phrases, ready to read lines with.
type phraseTable struct {
	terms *automaton
	rules []compiledRule
	// accessLog are lines of a web server about a request, in which any phrase
	// can stand in the path or the referrer.
	method, protocol, metrics int
}

// table is the same for every classifier. It is made for the first line: a bot
// need not spend the milliseconds at its start, nor the megabytes while nobody
// asks.
var table = sync.OnceValue(newPhraseTable)

type extraPattern struct {
	class string
	re    *regexp.Regexp
	kid   int // index of the group, -1 without
}

type compiledRule struct {
	class          string
	any, with, not int // groups of the automaton, -1 without
	re             func() *regexp.Regexp
}

// classes are all classes, and whether each is a failure.
var classes = map[string]bool{
	runbook.ClassUnknownKid: true, runbook.ClassBadSignature: true, runbook.ClassNoKid: true,
	runbook.ClassDuplicateKid: true, runbook.ClassNoKey: true, runbook.ClassNoSigningKeys: true,
	runbook.ClassJWKSFetch: true, runbook.ClassJWKSParse: true, runbook.ClassRefetchThrottled: true,
	runbook.ClassExpired: true, runbook.ClassClock: true, runbook.ClassIssuer: true, runbook.ClassAudience: true,
	runbook.ClassColdCache: false, runbook.ClassRefreshed: false,
}

// Failure says whether a class is a failed validation; cold_cache and refreshed
// are events of the key cache, and no failures.
func Failure(class string) bool { return classes[class] }

// NewClassifier returns a classifier that tries the extra patterns first, in
// their order. The error names every pattern that cannot be used.
func NewClassifier(extra []Pattern) (*Classifier, error) {
	c := &Classifier{}
	var problems []error
	for i, p := range extra {
		e, err := newExtra(p)
		if err != nil {
			problems = append(problems, fmt.Errorf("log pattern %d: %w", i+1, err))
			continue
		}
		c.extra = append(c.extra, e)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return c, nil
}

// Validate says what is wrong with a pattern.
func (p Pattern) Validate() error {
	_, err := newExtra(p)
	return err
}

func newExtra(p Pattern) (extraPattern, error) {
	if _, known := classes[p.Class]; !known {
		return extraPattern{}, fmt.Errorf("class %q is not one of the classes of log lines: one of %s", p.Class, strings.Join(slices.Sorted(maps.Keys(classes)), ", "))
	}
	if p.Regexp == "" {
		return extraPattern{}, fmt.Errorf("class %q has no regexp: it would match every line", p.Class)
	}
	re, err := regexp.Compile(p.Regexp)
	if err != nil {
		return extraPattern{}, fmt.Errorf("class %q: %w", p.Class, err)
	}
	return extraPattern{p.Class, re, re.SubexpIndex("kid")}, nil
}

// newPhraseTable numbers the lists of the table and builds the automaton.
func newPhraseTable() *phraseTable {
	c := &phraseTable{}
	var terms []term
	index := map[string]int{}
	groups := 0
	group := func(list []string) int {
		if len(list) == 0 {
			return -1
		}
		for _, phrase := range list {
			for _, s := range spellings(phrase) {
				i, ok := index[s]
				if !ok {
					i = len(terms)
					index[s] = i
					terms = append(terms, term{text: s})
				}
				terms[i].groups.add(groups)
			}
		}
		groups++
		return groups - 1
	}
	for _, r := range rules {
		c.rules = append(c.rules, compiledRule{r.class, group(r.any), group(r.with), group(r.not), r.re})
	}
	c.method = group(phrases("get /|post /|put /|delete /|head /|options /|patch /"))
	c.protocol = group(phrases("http/1.1 2|http/1.1 3|http/1.1 4|http/1.1 5|http/1.0 2|http/1.0 3|http/1.0 4|http/1.0 5|http/2.0 2|http/2.0 3|http/2.0 4|http/2.0 5"))
	c.metrics = group(phrases("cloudwatchmetrics"))
	c.terms = newAutomaton(terms)
	return c
}

// spellings are a phrase and, when it is long enough not to occur by chance,
// the phrase without blanks.
func spellings(phrase string) []string {
	joined := strings.ReplaceAll(phrase, " ", "")
	if joined == phrase || len(joined) < 8 {
		return []string{phrase}
	}
	return []string{phrase, joined}
}

// Line returns the class of one log event, which may have several lines, and
// the kid that it names ("" for none). ok is false for all lines that tell
// neither of a failure nor of a key event.
func (c *Classifier) Line(text string) (class, kid string, ok bool) {
	for _, e := range c.extra {
		if m := e.re.FindStringSubmatch(text); m != nil {
			if e.kid >= 0 {
				kid = cleanKid(m[e.kid])
			}
			if kid == "" {
				kid = findKid(text)
			}
			return e.class, kid, true
		}
	}
	for rest, more := text, true; more; {
		var line string
		line, rest, more = cutLine(rest)
		if class = table().class(line); class != "" {
			if kid = findKid(line); kid == "" && len(line) < len(text) {
				kid = findKid(text)
			}
			return class, kid, true
		}
	}
	return "", "", false
}

// cutLine splits after the first line; CloudWatch events of the JVM have \r
// between their lines.
func cutLine(s string) (line, rest string, more bool) {
	i := strings.IndexByte(s, '\n')
	if r := strings.IndexByte(s[:max(i, 0)], '\r'); r >= 0 {
		i = r
	} else if i < 0 {
		i = strings.IndexByte(s, '\r')
	}
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// class decides one line. The stack frames of a trace on one line (JSON logs)
// name files and types in which phrases occur ("RateLimitedJwkProvider"); what
// stands before the first frame decides, if it can.
func (c *phraseTable) class(line string) string {
	found, ok := c.terms.find(line)
	if !ok {
		return ""
	}
	if i := firstFrame(line); i > 0 {
		if head, ok := c.terms.find(line[:i]); ok {
			if class := c.decide(line[:i], &head); class != "" {
				return class
			}
		}
	}
	return c.decide(line, &found)
}

// firstFrame returns where the first stack frame begins on a line, -1 without.
func firstFrame(line string) int {
	for _, frame := range [...]string{`\tat `, "\tat ", "    at "} {
		if i := strings.Index(line, frame); i >= 0 {
			return i
		}
	}
	return -1
}

// decide finds the first rule of the table that fits.
func (c *phraseTable) decide(line string, found *groupSet) string {
	if found.has(c.metrics) || found.has(c.method) && found.has(c.protocol) {
		return ""
	}
	for i := range c.rules {
		r := &c.rules[i]
		if found.has(r.any) && (r.with < 0 || found.has(r.with)) && (r.not < 0 || !found.has(r.not)) &&
			(r.re == nil || r.re().MatchString(line)) {
			return r.class
		}
	}
	return ""
}

// maxLine is where Classify cuts a line; CloudWatch Logs did the same with
// events until 2025.
const maxLine = 256 << 10

// Classify reads lines from r and calls emit for each that tells of a failure
// or a key event, with its number from 1. Lines are cut at 256 KiB; memory
// does not grow with the input. It ends with the first error of r or emit.
func Classify(r io.Reader, c *Classifier, emit func(line int, class, kid string) error) error {
	in := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		b, err := in.ReadSlice('\n')
		if len(b) > 0 {
			if class, kid, ok := c.Line(string(b)); ok {
				if err := emit(n, class, kid); err != nil {
					return err
				}
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n') // the rest of a long line
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading line %d: %w", n, err)
		}
	}
}
