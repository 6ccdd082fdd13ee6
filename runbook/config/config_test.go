package config

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens instead of comparing with them")

// noEnv is an environment in which nothing is set.
func noEnv(string) string { return "" }

// parse reads a configuration that is in order.
func parse(t *testing.T, text string, getenv func(string) string) *Config {
	t.Helper()
	cfg, err := Parse("test.yaml", []byte(text), getenv, rules)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return cfg
}

// refused returns what is wrong with a configuration.
func refused(t *testing.T, text string) string {
	t.Helper()
	if _, err := Parse("test.yaml", []byte(text), noEnv, rules); err != nil {
		return err.Error()
	}
	t.Fatalf("nothing was refused in\n%s", text)
	return ""
}

func readFile(t *testing.T, elem ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The printed example is what somebody starts from: it must be in order as it
// is, need nothing but the two tokens, and show the defaults where it says so.
func TestPrintedExampleIsInOrder(t *testing.T) {
	golden(t, "example.yaml", Example())
	cfg := parse(t, Example(), noEnv)
	want := map[string]string{"slack.bot_token": "SLACK_BOT_TOKEN", "slack.app_token": "SLACK_APP_TOKEN"}
	if diff := cmp.Diff(want, cfg.Unset()); diff != "" {
		t.Errorf("variables that the example needs (-want +got):\n%s", diff)
	}
	base, d := withDefaults[Config](), withDefaults[Target]()
	got := cfg.Targets[0]
	for _, same := range []struct {
		what      string
		got, want any
	}{
		{"journal", cfg.Journal.Reveal(), base.Journal.Reveal()}, {"listen", cfg.Listen, base.Listen}, {"snapshot", cfg.Snapshot, base.Snapshot},
		{"cache.keys", got.Cache.Keys, d.Cache.Keys}, {"cache.via", got.Cache.Via, d.Cache.Via},
		{"expires", got.Approval.Expires, d.Approval.Expires}, {"cooldown", got.Approval.Cooldown, d.Approval.Cooldown},
		{"required", got.Approval.Required, d.Approval.Required}, {"watch", got.Watch, d.Watch},
		{"ratio", got.Escalation.Ratio, d.Escalation.Ratio}, {"for", got.Escalation.For, d.Escalation.For}, {"min_requests", got.Escalation.MinRequests, d.Escalation.MinRequests},
	} {
		if diff := cmp.Diff(same.want, same.got); diff != "" {
			t.Errorf("the example shows another %s than the default (-default +example):\n%s", same.what, diff)
		}
	}
	if err := cfg.NeedOf(0, ForPolicy); err != nil {
		t.Errorf("the example needs more than tokens: %v", err)
	}
}

// The file of the documentation is read to the last value.
func TestDocumentedConfiguration(t *testing.T) {
	cfg := parse(t, readFile(t, "testdata", "full.yaml"), func(name string) string {
		return map[string]string{"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "PAGERDUTY_KEY": "pd-1"}[name]
	})
	want := Target{
		Name: "production", Region: "eu-west-2", UserPoolID: "eu-west-2_AbCdEfGhI", Channel: "inc-bridge",
		Cache:       Cache{ReplicationGroup: "production-scotaccount-oidc-cache", Auth: "iam", Username: "jwksbot", Keys: []string{"jwks:*"}, Via: "direct"},
		Authoriser:  Authoriser{Function: "commandbridge-dev-actions", LogGroup: "/aws/lambda/commandbridge-dev-actions", Patterns: []LogPattern{}},
		CommandBrdg: CommandBridge{Target: "scotaccount-oidc-cache", Environment: "production"},
		Approval:    Approval{Viewers: []string{}, Requesters: []string{"S0ONCALL"}, Approvers: []string{"S0LEADS", "U012AB3CD"}, Required: 1, Expires: 15 * time.Minute, Cooldown: 5 * time.Minute, Local: true},
		Watch:       Watch{For: 15 * time.Minute},
		Escalation:  Escalation{UserGroup: "S0IDENTITY", PagerDutyKey: "pd-1", Ratio: 0.10, For: 10 * time.Minute, MinRequests: 20},
	}
	if diff := cmp.Diff([]Target{want}, cfg.Targets); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	if cfg.Slack.BotToken.Reveal() != "xoxb-1" || cfg.Slack.AppToken.Reveal() != "xapp-1" || cfg.Journal.Reveal() != "jwksbot.db" || cfg.Snapshot.Keep != 24*time.Hour {
		t.Errorf("top level: %+v", cfg)
	}
}

// Somebody who repairs a file must not have to run the program once for every
// fault: all of them come together, in order, each with its line.
func TestEveryProblemAtOnce(t *testing.T) {
	_, err := Parse("broken.yaml", []byte(readFile(t, "testdata", "broken.yaml")), noEnv, rules)
	if err == nil {
		t.Fatal("nothing was refused")
	}
	golden(t, "broken.problems", err.Error()+"\n")
}

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(readFile(t, "testdata", name), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// target is a small target that is in order; lines of a test stand in it.
func target(lines ...string) string {
	return "targets:\n  - name: production\n    issuer: https://idp.example.com\n    cache: {replication_group: oidc}\n    " + strings.Join(lines, "\n    ") + "\n"
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ what, text, want string }{
		{"nothing at all", "", "test.yaml:1: targets: none; at least one environment to look after is needed"},
		{"a comment only", "# later\n", "test.yaml:1: targets: none"},
		{"no targets", "journal: a.db\ntargets: []\n", "test.yaml:2: targets: none"},
		{"targets without a value", "targets:\n", "test.yaml:1: targets: none"},
		{"a list", "- a\n- b\n", "test.yaml:1: the file: expected names and values"},
		{"no YAML", "targets: [\n  a: {\n", "not valid YAML: "},
		{"a tab", "targets:\n\t- name: a\n", "test.yaml:2: not valid YAML: a tab: indent with spaces"},
		{"a variable in braces", "slack: {bot_token: ${TOKEN}, app_token: x}\n", `inside {…} a ${VARIABLE} needs quotes`},
		{"a second document", target() + "---\njournal: other.db\n", "test.yaml:6: one document only"},
		{"an alias", "journal: &j a.db\nlisten: *j\n" + target(), "test.yaml:2: listen: aliases (*name) are not read: write the value out"},
		{"a merge key", "targets:\n  - &a {name: one}\n  - <<: *a\n    name: two\n", "test.yaml:3: targets[1]: merge keys (<<) are not read: write the values out"},
		{"a mistyped key", target("chanel: x"), `test.yaml:5: unknown key "targets[0].chanel": did you mean "channel"?`},
		{"a key with a hyphen", target("jwks-url: x"), `unknown key "targets[0].jwks-url": did you mean "jwks_url"?`},
		{"half a key", target("escalat: x"), `did you mean "escalation"?`},
		{"a strange key", target("zzz: x"), `unknown key "targets[0].zzz": known here are approval, authoriser, cache, canary, channel,`},
		{"an empty key", target(`"": x`), `unknown key "targets[0].": known here are`},
		{"a doubled key", target("channel: a", "channel: b"), `test.yaml:6: key "targets[0].channel" is set twice`},
		{"a share without a sign", target("escalation: {ratio: 0.1}"), `"0.1" is not a share: write 10%`},
		{"a share of nothing", target("escalation: {ratio: 0%}"), "is not a share"},
		{"a share that is not a number", target("escalation: {ratio: NaN%}"), "is not a share"},
		{"more than all", target("escalation: {ratio: 101%}"), "is not a share"},
		{"a user as bot token", "slack: {bot_token: xoxp-1}\n" + target(), "slack.bot_token: this is not a bot token: it must begin with xoxb-"},
		{"a bot token as app token", "slack: {app_token: xoxb-1}\n" + target(), "slack.app_token: this is not an app-level token: it must begin with xapp-"},
		{"a key that is too short", "audit_key: c2hvcnQ=\n" + target(), "audit_key: not 32 bytes in base64; make one with: openssl rand -base64 32"},
		{"a file that is not there", "audit_key: file:/nonexistent/key\n" + target(), "test.yaml:1: audit_key: open /nonexistent/key: no such file or directory"},
		{"a file without a secret", "audit_key: file:/dev/null\n" + target(), `test.yaml:1: audit_key: the file "/dev/null" is empty`},
		{"iam with a URL", "targets: [{name: a, issuer: 'https://i', cache: {url: 'redis://h', auth: iam, username: u}}]", "auth: iam needs replication_group or serverless"},
		{"a URL with a wrong port", "targets: [{name: a, issuer: 'https://i', cache: {url: 'redis://h:port'}}]", `targets[0].cache.url: cache: url: "h:port" is not host:port`},
		{"a password that is not used", target("cache: {}") + "  - {name: b, issuer: 'https://i', cache: {serverless: s, auth: none, password: p}}\n", "targets[1].cache.auth: none, but there is a password"},
		{"http beyond loopback", strings.Replace(target(), "https://idp", "http://idp", 1), `"http://idp.example.com" must be https, except on a loopback address`},
		{"another scheme", strings.Replace(target(), "https://", "ftp://", 1), `must be https, except on a loopback address`},
		{"a host alone", strings.Replace(target(), "https://", "", 1), `"idp.example.com" is not a URL`},
		{"a role for a person", "people: [{slack: U123, aws: \"arn:aws:sts::111122223333:assumed-role/Admin/robin\"}]\n" + target(""), "does not stand for one person"},
		{"too few people", target("approval: {approvers: [U111, U222], required: 3}"), "3 approvals, but only 2 people may give one"},
		{"a class that does not exist", target("authoriser: {patterns: [{class: odd, regexp: x}]}"), `targets[0].authoriser.patterns[0]: class "odd" is not one of the classes of log lines: one of audience, bad_signature, `},
		{"a pattern that matches every line", target("authoriser: {patterns: [{class: expired}]}"), `class "expired" has no regexp`},
		{"tokens that live no time", target("authoriser: {token_lifetime: -1h}"), `targets[0].authoriser.token_lifetime: `},
		{"tokens that live a second", target("authoriser: {token_lifetime: 1s}"), `targets[0].authoriser.token_lifetime: 1s is not a token lifetime: write 1h`},
		{"an address without a port", "listen: localhost\n" + target(), `listen: "localhost" is not an address: write 127.0.0.1:9090`},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := refused(t, c.text); !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	for what, text := range map[string]string{
		"a loopback URL":                     strings.Replace(target(), "https://idp.example.com", "http://127.0.0.1:8080", 1),
		"localhost":                          strings.Replace(target(), "https://idp.example.com", "http://localhost:8080", 1),
		"a group may be large enough":        target("approval: {approvers: [S111], required: 5}"),
		"a null keeps the default":           target("approval: ~", "channel:"),
		"several hosts of one cluster":       "targets: [{name: a, issuer: 'https://i', cache: {url: 'rediss://h1:6379,h2:6379'}}]",
		"a password in the URL":              "targets: [{name: a, issuer: 'https://i', cache: {url: 'rediss://u:p@h:6379'}}]",
		"a password in the URL, named so":    "targets: [{name: a, issuer: 'https://i', cache: {url: 'rediss://u:p@h:6379', auth: password}}]",
		"a password beside the URL":          "targets: [{name: a, issuer: 'https://i', cache: {url: 'rediss://h:6379', password: p}}]",
		"an anchor that nobody uses":         "journal: &j a.db\n" + target(),
		"health checks switched off":         "listen: \"\"\n" + target(),
		"a letter among the wild cards":      target("cache: {}")[:len("targets:\n  - name: production\n")] + "    issuer: https://i\n    cache: {serverless: s, keys: ['*jwks*', 'j?', 'k[a-z]']}\n",
		"a document marker before the first": "---\n" + target(),
	} {
		t.Run(what, func(t *testing.T) {
			if what == "a null keeps the default" {
				if cfg := parse(t, text, noEnv); cfg.Targets[0].Approval.Required != 1 {
					t.Error("approval: ~ took the defaults away")
				}
				return
			}
			parse(t, text, noEnv)
		})
	}
}

func TestSecretsFromFilesAndVariables(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("xoxb-from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, fmt.Sprintf("slack: {bot_token: %q, app_token: 'xapp-${TAIL}'}\n%s", "file:"+file, target()), func(name string) string {
		return map[string]string{"TAIL": "of-two"}[name]
	})
	if got := cfg.Slack.BotToken.Reveal(); got != "xoxb-from-file" {
		t.Errorf("from a file: %q, without the line's end", got)
	}
	if got := cfg.Slack.AppToken.Reveal(); got != "xapp-of-two" {
		t.Errorf("a variable within a value: %q", got)
	}
}

// planted stands in every place where a secret may stand.
const planted = "planted-s3cret"

// No way of printing the configuration may show a secret, nor may any message
// about a value that is wrong.
func TestSecretsStayHidden(t *testing.T) {
	key := "cGxhbnRlZC1zM2NyZXQtYW5kLW1vcmUtb2YtaXQuLi4=" // 32 bytes
	cfg := parse(t, fmt.Sprintf(`
slack: {bot_token: xoxb-%[1]s, app_token: xapp-%[1]s}
journal: postgres://jwksbot:%[1]s@db/jwksbot
snapshot: {key: %[2]s}
audit_key: %[2]s
targets:
  - name: production
    issuer: https://idp.example.com
    cache: {url: "rediss://jwksbot:%[1]s@cache:6379"}
    commandbridge: {token: %[1]s}
    canary: {client_secret: %[1]s}
    escalation: {pagerduty_key: %[1]s}
  - name: staging
    issuer: https://idp.example.com
    cache: {replication_group: oidc, auth: password, password: %[1]s}
`, planted, key), noEnv)
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for how, text := range map[string]string{"%v": fmt.Sprintf("%v", cfg), "%+v": fmt.Sprintf("%+v", cfg), "%#v": fmt.Sprintf("%#v", cfg),
		"JSON": string(asJSON), "resource": cfg.Targets[0].Cache.Resource()} {
		if strings.Contains(text, planted) || strings.Contains(text, key) {
			t.Errorf("%s shows a secret: %s", how, text)
		}
	}
}

func TestMessagesRepeatNoSecret(t *testing.T) {
	for what, text := range map[string]string{
		"tokens of the wrong kind":    "slack: {bot_token: xapp-" + planted + ", app_token: xoxb-" + planted + "}\n" + target(),
		"keys of the wrong length":    "snapshot: {key: " + planted + "}\naudit_key: " + planted + "\n" + target(),
		"an issuer with a password":   strings.Replace(target(), "https://", "https://u:"+planted+"@", 1),
		"an issuer that is not a URL": strings.Replace(target(), "https://", "https://u:"+planted+"%zz@", 1),
		"a cache URL with no port":    "targets: [{name: a, issuer: 'https://i', cache: {url: 'rediss://u:" + planted + "@h:port'}}]",
		"a cache URL of no kind":      "targets: [{name: a, issuer: 'https://i', cache: {url: 'u:" + planted + "@h'}}]",
		"an @ in a cache password":    "targets: [{name: a, issuer: 'https://i', cache: {url: 'rediss://u:" + planted + "@x@h:p'}}]",
		"two ways to the cache":       "targets: [{name: a, issuer: 'https://i', cache: {serverless: s, url: 'rediss://u:" + planted + "@h'}}]",
		"a quote that never ends":     "slack: {bot_token: \"xoxb-" + planted + "}\n",
		"a tab before a secret":       "slack:\n\tbot_token: xoxb-" + planted + "\n",
		"a secret with a colon":       "slack:\n  bot_token: xoxb: " + planted + ": x\n",
		"a secret as a list":          "slack:\n  bot_token: [" + planted + "]\n" + target(),
	} {
		t.Run(what, func(t *testing.T) {
			if got := refused(t, text); strings.Contains(got, planted) {
				t.Errorf("the message repeats the secret: %s", got)
			}
		})
	}
}

func TestNoConfigurationFile(t *testing.T) {
	_, err := Read(filepath.Join(t.TempDir(), "jwksbot.yaml"), noEnv, rules)
	if err == nil || !strings.Contains(err.Error(), "jwksbot config example > ") {
		t.Errorf("got %v, which does not say how to write one", err)
	}
	if _, err := Read(t.TempDir(), noEnv, rules); err == nil {
		t.Error("a folder was read")
	}
}

// problemLine is the form of every line that parseConfig answers with.
var problemLine = regexp.MustCompile(`^fuzz\.yaml:[1-9]\d*: \S`)

// FuzzParseConfig holds parseConfig to never panicking, and to a line number
// in everything that it refuses.
func FuzzParseConfig(f *testing.F) {
	f.Add(Example())
	for _, name := range []string{"full.yaml", "broken.yaml"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	for _, seed := range []string{"", "a", "---\n...\n---\n", "? a\n: b\n", "<<: *x\n", "targets: &a [*a]\n", "!!map {a: b}", "targets: [~, {}, 1]",
		"journal: |\n  a\n  b\n", "snapshot: {max_entries: 0x10, max_bytes: 99999999999999999999}", "listen: ${A}${B}\n", "{", "\xff\xfe", "%YAML 1.2\n---\na: b\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ReplaceAll(text, "file:", "flie:") // no files of this machine
		cfg, err := Parse("fuzz.yaml", []byte(text), noEnv, rules)
		if (cfg == nil) == (err == nil) {
			t.Fatalf("configuration %v, error %v", cfg, err)
		}
		var found *Problems
		if err != nil && !errors.As(err, &found) {
			t.Fatalf("an error without lines: %v", err)
		}
		if err != nil && !problemLine.MatchString(err.Error()) {
			t.Errorf("an error without a line: %q", err)
		}
	})
}
