package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook/execute"
)

// Each file of testdata/stories is one story: a script of what people do, and
// the transcript of all that they see, over Socket Mode, from a broken world to
// its end. Lines of a script:
//
//	USER CHANNEL /command …        types a command
//	click USER ACTION TEXT         presses a button of the newest message with TEXT
//	stale USER ACTION TEXT         presses it as it stood before the last update
//	await TEXT                     waits until somebody is shown TEXT
//	recovers                       waits until the last sign-ins all succeed
//
// A file may have a part "speed": how fast time runs, and then mitigations are
// watched; without it they are not.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "stories", "*.txtar"))
	if err != nil || len(files) < 3 {
		t.Fatalf("stories: %d, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			part := map[string]string{}
			for _, f := range archive.Files {
				part[f.Name] = string(f.Data)
			}
			demo := demoCmd{Scenario: strings.TrimSpace(part["scenario"]), Speed: 4}
			if text := strings.TrimSpace(part["speed"]); text != "" {
				demo.watch = execute.DefaultWatch
				if demo.Speed, err = strconv.ParseFloat(text, 64); err != nil {
					t.Fatal(err)
				}
			}
			story := &story{T: t, stage: startDemo(t, demo)}
			story.play(part["script"])
			got := story.transcript()
			if *update {
				for i := range archive.Files {
					if archive.Files[i].Name == "transcript" {
						archive.Files[i].Data = []byte(got)
					}
				}
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(part["transcript"], got); diff != "" {
				t.Errorf("the transcript changed (-want +got); look at it, then go test -run TestStories -update:\n%s", diff)
			}
		})
	}
}

type story struct {
	*testing.T
	stage *stage
	kids  [][]string // sets of kids in the order in which they were seen
}

func (s *story) play(script string) {
	s.noteKids()
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "await":
			until(s.T, s.stage.sim, line, func(sim *slacksim.Sim) bool { return strings.Contains(shownEver(sim), rest) })
		case "click", "stale":
			s.click(verb == "stale", rest)
		case "recovers":
			s.recovers()
		default:
			channel, command, _ := strings.Cut(rest, " ")
			if d := s.stage.sim.Command(verb, channel, command); d.Err != nil {
				s.Fatalf("%s: %v", line, d.Err)
			}
		}
	}
}

// shownEver is the text of every message as it is now, private ones included.
func shownEver(sim *slacksim.Sim) string { return sim.Transcript() }

func (s *story) click(stale bool, rest string) {
	user, rest, _ := strings.Cut(rest, " ")
	action, text, _ := strings.Cut(rest, " ")
	var opts []slacksim.ClickOption
	if stale {
		opts = append(opts, slacksim.AsItStood())
	}
	messages := s.stage.sim.Messages("C0BRIDGE")
	for i := len(messages) - 1; i >= 0; i-- {
		m := messages[i]
		if !strings.Contains(m.Text, text) {
			continue
		}
		if d := s.stage.sim.Click(user, m.Channel, m.TS, action, opts...); d.Err != nil {
			s.Fatalf("click %s: %v", rest, d.Err)
		}
		return
	}
	s.Fatalf("no message says %q\n%s", text, s.stage.sim.Transcript())
}

// recovers waits for the world itself: nothing fails any more. The drill's
// traffic runs in real time here, two requests a second.
func (s *story) recovers() {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for deadline := bottest.Bounded(s.T, 90*time.Second); ; {
		if state := s.stage.drill.State(); state.SuccessRate != nil && *state.SuccessRate == 1 {
			break
		}
		select {
		case <-look.C:
		case <-deadline.Done():
			s.Fatalf("sign-ins do not recover: %+v", s.stage.drill.State())
		}
	}
	s.noteKids()
}

func (s *story) noteKids() {
	state := s.stage.drill.State()
	s.kids = append(s.kids, state.LiveKids, state.CachedKids)
}

// What moves from run to run is replaced; what the person reads stays.
var moving = []struct {
	find    *regexp.Regexp
	replace string
}{
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "http://HOST"},
	{regexp.MustCompile(`127\.0\.0\.1(:\d+)?`), "HOST"},
	{regexp.MustCompile(`\b\d{4}-[a-z0-9]{8}\b`), "RUN"},
	{regexp.MustCompile(`<!date\^\d+\^([^|]*)\|[^>]*>`), "<date $1>"},
	{regexp.MustCompile(`jwks-check-\d+-\d+\.png`), "jwks-check-WHEN.png"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d(:\d\d)?( UTC)?\b`), "TIME"},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f-]{27}\b`), "REQUEST-ID"},
	{regexp.MustCompile(`digest of what was kept: [0-9a-f]+`), "digest of what was kept: DIGEST"},
	{regexp.MustCompile("digest `[0-9a-f]+…?`"), "digest `DIGEST`"},
	{regexp.MustCompile(`kid "[A-Za-z0-9+/]+…`), `kid "KID…`},
	{regexp.MustCompile(`[A-Za-z0-9_-]{12}…`), "THUMB…"},
	{regexp.MustCompile(`\b\d[\d,.]* (ms|s|min|h)\b( \d+ (s|min)\b)?`), "SPAN"}, // "1 h", a moment later "59 min 58 s"
	{regexp.MustCompile(`\b\d[\d,.]*(×| %)`), "N$1"},
	{regexp.MustCompile(`\b\d[\d,]* (bytes|a minute)\b`), "N $1"},
	{regexp.MustCompile(`\b\d[\d,]* miss(es)?\b`), "N misses"},
	{regexp.MustCompile(`\b\d[\d,]* (failure|hit|page|accepted token|request|answer|new log stream)s?\b`), "N ${1}s"},
	{regexp.MustCompile(`\bN (\w+s) was\b`), "N $1 were"},
	{regexp.MustCompile(`\((one minute|\d+ minutes?) each`), "(MINUTES each"},
	{regexp.MustCompile(`(unknown kid|bad signature|jwks fetch|jwks parse) \d[\d,]*`), "$1 N"},
	{regexp.MustCompile("`[▁▂▃▄▅▆▇█]+`"), "`SPARKLINE`"},
	{regexp.MustCompile(`[A-Za-z0-9+/]{43}=`), "OTHER-KID"},
	{regexp.MustCompile("(?s)(Newest log lines \\(UTC, redacted\\)\\*\n *)```.*?```"), "${1}SAMPLES"},
	{regexp.MustCompile(`(• (?:now|before)): (?:no data|hit ratio .*)`), "$1: TRAFFIC"},
	{regexp.MustCompile(`(classes: .*?),? expired [\dN]+`), "$1"},
	{regexp.MustCompile(`\b(all|\d[\d,]* of them) on kid`), "all on kid"}, // but for tokens that expired
	{regexp.MustCompile("(probe) \\d: HTTP 200, keys `[A-Z-]+`"), "$1 N: HTTP 200, keys of one edge"},
	{regexp.MustCompile("`(LIVE|CACHED)-KID`, `(LIVE|CACHED)-KID`"), "`BOTH-KIDS`"}, // sorted, and random
	{regexp.MustCompile(`, after (\d+) rejected ones?`), ""},
	// Whether a request was under way when the function was updated, and so one
	// line of proof more.
	{regexp.MustCompile(`(?m)^ *↳ \d+ old log streams? (was|were) still written to .*\n`), ""},
	{regexp.MustCompile(`(?m)^ *↳ … \d+ more in the thread\n`), ""},
}

// moved are numbers that follow the traffic; statuses are none, nor is what the
// person typed.
var moved = regexp.MustCompile(`HTTP \d+( or \d+)?|INC-[\d-]+|\b\d[\d,.]*\d\b`)

func (s *story) transcript() string {
	out := s.stage.sim.Transcript()
	for i, set := range s.kids {
		for j, kid := range set {
			out = strings.ReplaceAll(out, kid, s.nameOf(kid, i, j))
		}
	}
	for _, m := range moving {
		out = m.find.ReplaceAllString(out, m.replace)
	}
	out = moved.ReplaceAllStringFunc(out, func(n string) string {
		if n[0] == 'H' || n[0] == 'I' {
			return n
		}
		return "N"
	})
	return firstAndLast(withoutPatience(out))
}

var (
	header  = regexp.MustCompile(`(?m)^#\S+ .*$`)
	message = regexp.MustCompile(`\bm\d+\b`)
)

// interim are the words that an answer is under way, which people see where the
// machine is busy.
var interim = regexp.MustCompile(`taking longer than usual|the result will appear when it is ready`)

// withoutPatience leaves out interim answers, and numbers the messages without
// them.
func withoutPatience(transcript string) string {
	var out strings.Builder
	for _, b := range regexp.MustCompile(`(?m)^#`).Split(transcript, -1)[1:] {
		if !interim.MatchString(b) {
			out.WriteString("#" + b)
		}
	}
	numbers := map[string]string{}
	return header.ReplaceAllStringFunc(out.String(), func(line string) string {
		return message.ReplaceAllStringFunc(line, func(m string) string {
			if numbers[m] == "" {
				numbers[m] = fmt.Sprintf("m%d", len(numbers)+1)
			}
			return numbers[m]
		})
	})
}

var updated = regexp.MustCompile(`^#\S+ \S+ (m\d+) updated`)

// firstAndLast leaves out the updates between a message's first and its last
// form: which of them are seen depends on how long the steps take.
func firstAndLast(transcript string) string {
	blocks := regexp.MustCompile(`(?m)^#`).Split(transcript, -1)[1:]
	last := map[string]int{}
	for i := range blocks {
		blocks[i] = "#" + blocks[i]
		if m := updated.FindStringSubmatch(blocks[i]); m != nil {
			last[m[1]] = i
		}
	}
	var out strings.Builder
	for i, b := range blocks {
		if m := updated.FindStringSubmatch(b); m == nil || last[m[1]] == i {
			out.WriteString(b)
		}
	}
	return out.String()
}

// nameOf calls kids by the role in which they were seen first.
func (s *story) nameOf(kid string, i, _ int) string {
	role := "LIVE"
	if i%2 == 1 {
		role = "CACHED"
	}
	for k := 0; k < i; k++ {
		for _, other := range s.kids[k] {
			if other == kid && k%2 != i%2 {
				role = map[int]string{0: "LIVE", 1: "CACHED"}[k%2]
			}
		}
	}
	return fmt.Sprintf("%s-KID", role)
}
