package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook/drill"
)

// workplace is a folder with a configuration, from which people with different AWS
// identities run the program as processes of their own.
type workplace struct {
	dir   string
	drill *drill.World
	env   []string
}

// newWorkplace writes a configuration against a drill; edit changes it.
func newWorkplace(t *testing.T, scenario string, edit ...string) *workplace {
	t.Helper()
	world, err := drill.Start(t.Context(), drill.Options{Scenario: scenario})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	d := &workplace{dir: t.TempDir(), drill: world}
	d.write(t, edit...)
	d.env = append(os.Environ(), "AWS_ENDPOINT_URL="+manyCallers(t, world.AWSEndpoint()), "AWS_SECRET_ACCESS_KEY=drill", "AWS_REGION="+drill.Region,
		"SLACK_BOT_TOKEN=", "SLACK_APP_TOKEN=", "JWKSBOT_CONFIG=", "NO_COLOR=1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	return d
}

// newTeam is a workplace whose people have accounts in an emulated workspace, and
// whose terminals may ask it.
func newTeam(t *testing.T, scenario string, edit ...string) (*workplace, *slacksim.Sim) {
	t.Helper()
	d := newWorkplace(t, scenario, edit...)
	sim := slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})
	for _, name := range []string{"robin", "lee", "kim"} {
		sim.SetUser(account(name))
	}
	address, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	d.env = append(d.env, "SLACK_BOT_TOKEN=xoxb-demo-bot", "SLACK_APP_TOKEN=xapp-demo-app", "SLACK_API_URL="+address+"/api/")
	return d, sim
}

// account is the Slack account of somebody whom the configuration maps.
func account(name string) slacksim.User {
	return slacksim.User{ID: "U0" + strings.ToUpper(name), Name: name, RealName: name}
}

func (d *workplace) write(t *testing.T, edit ...string) {
	t.Helper()
	text := fmt.Sprintf(`journal: journal.db
listen: ""
people:
  - {slack: U0ROBIN, aws: "arn:aws:iam::123456789012:user/robin"}
  - {slack: U0LEE, aws: "arn:aws:iam::123456789012:user/lee"}
  - {slack: U0KIM, aws: "arn:aws:iam::123456789012:user/kim"}
targets:
  - name: production
    region: %s
    jwks_url: %q
    issuer: %q
    cache: {replication_group: %s}
    authoriser: {log_group: %s}
    approval: {requesters: [U0ROBIN], approvers: [U0ROBIN, U0LEE], cooldown: 0s}
    watch: {for: 0s}
`, drill.Region, d.drill.JWKSURL(), d.drill.Issuer(), drill.ReplicationGroup, drill.LogGroup)
	text = strings.NewReplacer(edit...).Replace(text)
	if err := os.WriteFile(filepath.Join(d.dir, "jwksbot.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var credential = regexp.MustCompile(`^AKIA([A-Z]+)0/`)

// manyCallers stands before the drill, which knows one caller only, and names
// everybody by their access key: AKIAROBIN0 is the IAM user robin.
func manyCallers(t *testing.T, endpoint string) string {
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	rest := httputil.NewSingleHostReverseProxy(to)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		who := credential.FindStringSubmatch(r.URL.Query().Get("X-Amz-Credential"))
		if who == nil || r.URL.Query().Get("Action") != "GetCallerIdentity" {
			r.Body = io.NopCloser(bytes.NewReader(body))
			rest.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/%s</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, strings.ToLower(who[1]))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// start runs the program as somebody, with text on its standard input.
func (d *workplace) start(t *testing.T, who, stdin string, args ...string) *bottest.Process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "jwksbot", args...)
	cmd.Dir, cmd.Stdin = d.dir, strings.NewReader(stdin)
	cmd.Env = append(append([]string{}, d.env...), "AWS_ACCESS_KEY_ID=AKIA"+strings.ToUpper(who)+"0")
	return bottest.Start(t, cmd)
}

// run runs the program to its end, holds the exit code and returns what it
// printed.
func (d *workplace) run(t *testing.T, want int, who, stdin string, args ...string) (stdout, stderr string) {
	t.Helper()
	p := d.start(t, who, stdin, args...)
	if got := p.Exit(); got != want {
		t.Fatalf("jwksbot %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, want, p.Out.String(), p.Err.String())
	}
	for _, bad := range []string{"goroutine ", "panic:", planted} {
		if strings.Contains(p.Out.String()+p.Err.String(), bad) {
			t.Errorf("jwksbot %s prints %q\n%s%s", strings.Join(args, " "), bad, p.Out.String(), p.Err.String())
		}
	}
	return p.Out.String(), p.Err.String()
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("without %q:\n%s", part, text)
		}
	}
}

// keyJSON, checkJSON: the documented JSON of a check, and what was added.
type keyJSON struct {
	Kid, Thumbprint, Kty, Alg, Use string
	Usable                         bool
	Problems                       []string
}

type checkJSON struct {
	Target, Verdict, Summary       string
	Recommended, Because, Stranded []string
	WouldChange                    string  `json:"would_change"`
	HardCut                        *string `json:"hard_cut"`
	Against                        []map[string]string
	Findings                       []struct{ ID, Severity, Summary string }
	Steps                          []struct {
		Name, Status, Summary string
		DurationMS            *int64 `json:"duration_ms"`
	}
	Keys struct {
		Live   []keyJSON
		Cached []struct {
			Entry, Format, Foreign, Note string
			TTLSeconds                   *int64 `json:"ttl_seconds"`
			Keys                         []keyJSON
		}
		Logged []struct {
			Kid   string
			Count int
		}
	}
	Failures struct {
		Count   int
		AtLeast *bool `json:"at_least"`
		Classes map[string]int
	}
	Gateway struct {
		Read                  *bool
		Kind, ID, Name, Stage string
		Requests              *float64
		ClientErrors          *float64 `json:"client_errors"`
		ServerErrors          *float64 `json:"server_errors"`
		Spike                 *bool
		Denied                *int
		DeniedAtLeast         *bool `json:"denied_at_least"`
		Problems              []string
		Authorisers           []map[string]any
	}
	Authoriser struct {
		Read                                  *bool
		Function, Qualifier, Version, Runtime string
		LastModified                          string `json:"last_modified"`
		State                                 string
		UpdateStatus                          string `json:"update_status"`
		Provisioned                           *int
		Invoked, Restart, Refusal             string
	}
	StartedAt  time.Time `json:"started_at"`
	DurationMS *int64    `json:"duration_ms"`
}

// check runs a check and reads its JSON strictly.
func (d *workplace) check(t *testing.T, want int) checkJSON {
	t.Helper()
	stdout, _ := d.run(t, want, "robin", "", "check", "production", "--json")
	dec := json.NewDecoder(strings.NewReader(stdout))
	dec.DisallowUnknownFields()
	var got checkJSON
	if err := dec.Decode(&got); err != nil {
		t.Fatalf("%v in\n%s", err, stdout)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("more than one document:\n%s", stdout)
	}
	if strings.Contains(stdout, "null") {
		t.Errorf("a null in\n%s", stdout)
	}
	contains(t, stdout, `"target"`, `"recommended"`, `"findings"`, `"steps"`, `"live"`, `"cached"`, `"logged"`, `"count"`, `"classes"`)
	if got.Target != "production" || got.StartedAt.IsZero() || got.DurationMS == nil || got.Failures.AtLeast == nil || len(got.Steps) < 4 {
		t.Errorf("incomplete: %s", stdout)
	}
	for _, s := range got.Steps {
		if s.DurationMS == nil || !regexp.MustCompile(`^(ok|warn|fail|error|skipped)$`).MatchString(s.Status) {
			t.Errorf("step %+v", s)
		}
	}
	if got.finding(got.Verdict) == "" {
		t.Errorf("the verdict's own finding is not among %+v", got.Findings)
	}
	return got
}

func (c checkJSON) finding(id string) string {
	for _, f := range c.Findings {
		if f.ID == id {
			return f.Summary
		}
	}
	return ""
}

func (c checkJSON) step(name string) string {
	for _, s := range c.Steps {
		if s.Name == name {
			return s.Status + ": " + s.Summary
		}
	}
	return ""
}

func TestCheckVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scenario, verdict string
		exit              int
		recommended       string
	}{
		{"stale", "stale_cache", exitFinding, "flush"},
		{"healthy", "healthy", exitOK, ""},
		{"idp-down", "live_unhealthy", exitFinding, ""},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			d := newWorkplace(t, c.scenario)
			got := d.check(t, c.exit)
			if got.Verdict != c.verdict {
				t.Fatalf("verdict %s: %s", got.Verdict, got.Summary)
			}
			if all := strings.Join(got.Recommended, " "); !strings.Contains(all, c.recommended) || c.recommended == "" && strings.Contains(all, "flush") {
				t.Errorf("recommended %v", got.Recommended)
			}
			people, _ := d.run(t, c.exit, "robin", "", "check", "--since", "30m")
			contains(t, people, "production  "+c.verdict, "live-keys", "cached-keys", "logged-keys")
			if next := "\n  jwksbot flush production --ticket "; strings.Contains(people, next) != (c.recommended == "flush") {
				t.Errorf("recommended is %q, and the check ends with\n%s", c.recommended, people)
			}
		})
	}
}

// What cannot be read is never "healthy": exit 2, a sentence with the host,
// and no secret in it.
func TestCheckCouldNotTell(t *testing.T) {
	t.Parallel()
	group := "{replication_group: " + drill.ReplicationGroup + "}"
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		d := newWorkplace(t, "healthy", group, `{url: "redis://jwksbot:`+planted+`@127.0.0.1:1"}`)
		got := d.check(t, exitFailed)
		if got.Verdict != "inconclusive" {
			t.Errorf("verdict %s: %s", got.Verdict, got.Summary)
		}
		contains(t, got.step("cached-keys"), "error: ", "127.0.0.1:1", "refused")
		_, stderr := d.run(t, exitFailed, "robin", "", "flush", "production", "--dry-run")
		contains(t, stderr, "Refused", "cache could not be read", "127.0.0.1:1")
	})
	t.Run("live", func(t *testing.T) {
		t.Parallel()
		d := newWorkplace(t, "healthy")
		d.write(t, fmt.Sprintf("%q", d.drill.JWKSURL()), `"http://127.0.0.1:1/jwks.json"`)
		got := d.check(t, exitFailed)
		if got.Verdict != "inconclusive" || got.finding("live_unreachable") == "" {
			t.Errorf("verdict %s, findings %+v", got.Verdict, got.Findings)
		}
		contains(t, got.step("live-keys"), "error: ", "127.0.0.1:1")
	})
	t.Run("page", func(t *testing.T) {
		t.Parallel()
		d := newWorkplace(t, "healthy")
		if err := d.drill.Break(drill.IDPHTML); err != nil {
			t.Fatal(err)
		}
		if got := d.check(t, exitFinding); got.Verdict != "live_unhealthy" {
			t.Errorf("verdict %s: %s", got.Verdict, got.Summary)
		}
	})
}

// The whole path on terminals: one person requests, another approves, and the
// process that requested carries it out and proves it.
func TestFlushOnTheTerminal(t *testing.T) {
	t.Parallel()
	d, _ := newTeam(t, "stale")
	request := []string{"flush", "production", "--ticket", "INC-2026-0214-001", "--reason", "keys rotated at 02:40"}

	before := d.drill.State().CachedKids
	plan, _ := d.run(t, exitOK, "robin", "", "flush", "production", "--dry-run")
	contains(t, plan, "stale_cache", "Deletes 1 entry", "`"+d.drill.KeyName()+"`", "digest ", before[0])
	if runs, _ := d.run(t, exitOK, "robin", "", "runs"); !strings.Contains(runs, "no runs yet") {
		t.Errorf("a dry run left a run: %s", runs)
	}
	_, refused := d.run(t, exitFinding, "robin", "prod\n", request...)
	contains(t, refused, "not confirmed; nothing was requested")
	_, refused = d.run(t, exitFinding, "stranger", "production\n", request...)
	contains(t, refused, "arn:aws:iam::123456789012:user/stranger is mapped to nobody", "people")
	_, refused = d.run(t, exitFinding, "lee", "production\n", request...)
	contains(t, refused, "You may not request a mitigation of production", "Allowed are: U0ROBIN.")
	if after := d.drill.State().CachedKids; strings.Join(after, " ") != strings.Join(before, " ") {
		t.Fatalf("the cache changed from %v to %v", before, after)
	}

	flush := d.start(t, "robin", "production\n", request...)
	id := flush.Says(`run (\S+) waits for 1 approval`)[1]
	open, _ := d.run(t, exitOK, "lee", "", "runs", id)
	contains(t, open, "pending", "stale_cache", "Deletes 1 entry", "`"+d.drill.KeyName()+"`", "digest ", "0 of 1 approval, open until", "  jwksbot approve "+id+" --plan 1\n")
	_, refused = d.run(t, exitFinding, "robin", "", "approve", id)
	contains(t, refused, "own request")
	_, refused = d.run(t, exitFinding, "stranger", "", "approve", id)
	contains(t, refused, "mapped to nobody")
	_, refused = d.run(t, exitFailed, "lee", "", "approve", "0101-nosuchrn")
	contains(t, refused, "jwksbot runs")
	d.run(t, exitOK, "lee", "", "approve", id, "--plan", "1")
	if code := flush.Exit(); code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, flush.Out.String(), flush.Err.String())
	}
	contains(t, flush.Out.String(), "Proven", "requested by", "user/robin", "approve by", "user/lee", "flush-cache")
	_, refused = d.run(t, exitFinding, "lee", "", "approve", id)
	contains(t, refused, "Already decided", "user/lee")
	if s := d.drill.State(); strings.Join(s.CachedKids, " ") != strings.Join(s.LiveKids, " ") {
		t.Errorf("afterwards the cache holds %v, live are %v", s.CachedKids, s.LiveKids)
	}
	t.Logf("what the requester read:\n%s%s", flush.Err.String(), flush.Out.String())
}

func TestDenyOnTheTerminal(t *testing.T) {
	t.Parallel()
	d, _ := newTeam(t, "stale")
	flush := d.start(t, "robin", "production\n", "flush", "production", "--ticket", "INC-1", "--reason", "rotated")
	id := flush.Says(`run (\S+) waits for 1 approval`)[1]
	said, _ := d.run(t, exitOK, "lee", "", "deny", id, "--reason", "not in the\x1b[31m freeze")
	contains(t, said, "Denied. Nothing was touched.")
	if code := flush.Exit(); code != exitFinding {
		t.Errorf("a denied flush ends with %d", code)
	}
	contains(t, flush.Out.String(), "denied", "freeze")
	if strings.Contains(flush.Out.String(), "\x1b") {
		t.Errorf("the reason paints: %q", flush.Out.String())
	}

	interrupted := d.start(t, "robin", "production\n", "flush", "production", "--ticket", "INC-1", "--reason", "rotated")
	id = interrupted.Says(`run (\S+) waits for 1 approval`)[1]
	interrupted.Cmd.Process.Signal(syscall.SIGINT)
	if code := interrupted.Exit(); code != exitFailed {
		t.Errorf("an interrupted flush ends with %d", code)
	}
	contains(t, interrupted.Err.String(), "interrupted: run "+id+" stays in the journal")
	d.drill.Close()
	listed, _ := d.run(t, exitOK, "nobody", "", "runs", id, "--json")
	contains(t, listed, id, "pending")
}

// serving starts the bot against an emulated workspace.
func serving(t *testing.T, sim *slacksim.Sim, env []string, edit ...string) *bottest.Process {
	t.Helper()
	d := newWorkplace(t, "healthy", edit...)
	d.env = append(d.env, "SLACK_BOT_TOKEN=xoxb-demo-bot", "SLACK_APP_TOKEN=xapp-demo-app")
	if sim != nil {
		address, err := sim.Start("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sim.Close() })
		d.env = append(d.env, "SLACK_API_URL="+address+"/api/")
	}
	d.env = append(d.env, env...)
	return d.start(t, "robin", "", "serve")
}

// Errors that time does not heal end the bot, with a line that says what to do.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	off := slacksim.New(slacksim.Options{})
	off.Disconnect("link_disabled")
	unscoped := slacksim.New(slacksim.Options{})
	unscoped.Fail("apps.connections.open", 1, "missing_scope")
	for _, c := range []struct {
		what string
		sim  *slacksim.Sim
		env  []string
		edit []string
		want []string
	}{
		{"no tokens", nil, []string{"SLACK_BOT_TOKEN=", "SLACK_APP_TOKEN="}, nil, []string{"SLACK_BOT_TOKEN is not set", "SLACK_APP_TOKEN is not set", "Basic Information"}},
		{"tokens swapped", nil, []string{"SLACK_BOT_TOKEN=xapp-" + planted, "SLACK_APP_TOKEN=xoxb-" + planted}, nil, []string{"slack.bot_token", "must begin with xoxb-", "slack.app_token", "must begin with xapp-"}},
		{"an unknown app token", slacksim.New(slacksim.Options{}), []string{"SLACK_APP_TOKEN=xapp-" + planted}, nil, []string{"invalid_auth", "SLACK_APP_TOKEN"}},
		{"an unknown bot token", slacksim.New(slacksim.Options{}), []string{"SLACK_BOT_TOKEN=xoxb-" + planted}, nil, []string{"invalid_auth", "slack.bot_token", "xoxb-"}},
		{"Socket Mode switched off", off, nil, nil, []string{"link_disabled", "Socket Mode is switched off"}},
		{"an app token without its scope", unscoped, nil, nil, []string{"missing_scope", "connections:write"}},
		{"a bot token without a scope", slacksim.New(slacksim.Options{Scopes: []string{"commands", "chat:write"}}), nil, nil, []string{"lacks the scopes", "usergroups:read", "jwksbot manifest"}},
		{"a journal in no folder", slacksim.New(slacksim.Options{}), nil, []string{"journal: journal.db", "journal: missing/journal.db"}, []string{"journal", "missing"}},
		{"an address in use", slacksim.New(slacksim.Options{}), nil, []string{`listen: ""`, "listen: " + taken.Addr().String()}, []string{taken.Addr().String(), "set listen in the configuration to a free address"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			p := serving(t, c.sim, c.env, c.edit...)
			if code := p.Exit(); code != exitFailed {
				t.Errorf("exit code %d", code)
			}
			contains(t, p.Err.String(), append(c.want, "jwksbot: ")...)
			if said := p.Out.String() + p.Err.String(); strings.Contains(said, planted) || strings.Contains(said, "goroutine ") {
				t.Errorf("it says too much:\n%s", said)
			}
		})
	}
}

// An outage of Slack is waited for, and the bot still ends in order.
func TestServeWaitsForSlack(t *testing.T) {
	t.Parallel()
	p := serving(t, nil, []string{"SLACK_API_URL=http://127.0.0.1:1/api/"})
	p.Says("will try again")
	p.Cmd.Process.Signal(syscall.SIGTERM)
	if code := p.Exit(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, p.Err.String())
	}
}

func TestServeHealth(t *testing.T) {
	t.Parallel()
	sim := slacksim.New(slacksim.Options{})
	sim.Outage(true)
	p, address := servingHealth(t, sim)
	d := &workplace{dir: p.Cmd.Dir, env: p.Cmd.Env}
	if code, body := ask(t, "http://"+address+"/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, `"not ready"`) {
		t.Errorf("/readyz without Slack: %d %s", code, body)
	}
	_, said := d.run(t, exitFinding, "robin", "", "health", "--address", address)
	contains(t, said, "not ready")
	file := filepath.Join(d.dir, "jwksbot.yaml")
	config, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(config, []byte("127.0.0.1:0"), []byte(address)), 0o600); err != nil {
		t.Fatal(err)
	}
	sim.Outage(false)
	bottest.Poll(t, func() bool { code, _ := ask(t, "http://"+address+"/readyz"); return code == http.StatusOK }, func() string { return "/readyz\n" + p.Err.String() })
	said, _ = d.run(t, exitOK, "robin", "", "health")
	contains(t, said, "ready")
	if code, _ := ask(t, "http://"+address+"/secrets"); code != http.StatusNotFound {
		t.Errorf("an unknown path answers %d", code)
	}
	p.Cmd.Process.Signal(syscall.SIGTERM)
	if code := p.Exit(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, p.Err.String())
	}
}

// servingHealth starts the bot with a page about its health.
func servingHealth(t *testing.T, sim *slacksim.Sim) (p *bottest.Process, address string) {
	t.Helper()
	slack, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	p = serving(t, nil, []string{"SLACK_API_URL=" + slack + "/api/"}, `listen: ""`, "listen: 127.0.0.1:0")
	return p, p.Says(healthAddress)[1]
}

// healthAddress finds in the log where a bot serves its health.
const healthAddress = `metrics are served","address":"([^"]+)"`

// ask returns status and body of a page, 0 while nobody answers.
func ask(t *testing.T, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}
