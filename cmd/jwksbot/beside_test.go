package main

import (
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/journal/postgrestest"
)

// duo is a bot and a terminal on one journal.
type duo struct {
	*workplace
	sim *slacksim.Sim
	url string           // of the journal, from the workplace's folder
	bot *bottest.Process // the newest
}

func newDuo(t *testing.T, journalURL string) *duo {
	d := &duo{url: journalURL, sim: slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})}
	d.workplace = newWorkplace(t, "stale", "journal: journal.db", "journal: "+journalURL, `listen: ""`, "listen: 127.0.0.1:0",
		"U0ROBIN", "U0ONCALL", "U0LEE", "U0LEAD", "    jwks_url:", "    channel: inc-bridge\n    jwks_url:")
	slack, err := d.sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.sim.Close() })
	d.env = append(d.env, "SLACK_API_URL="+slack+"/api/", "SLACK_BOT_TOKEN=xoxb-demo-bot", "SLACK_APP_TOKEN=xapp-demo-app")
	return d
}

// serve starts the bot.
func (d *duo) serve(t *testing.T) *bottest.Process {
	t.Helper()
	d.bot = d.start(t, "bot", "", "serve")
	return d.bot
}

func (d *duo) journal(t *testing.T) *journal.Journal {
	t.Helper()
	path := d.url
	if !strings.Contains(path, "://") {
		path = d.dir + "/" + path
	}
	return openJournal(t, path)
}

// ready polls /readyz until it answers with a status and says all words.
func (d *duo) ready(t *testing.T, status int, words ...string) {
	t.Helper()
	address := d.bot.Says(healthAddress)[1]
	var code int
	var body string
	bottest.Poll(t, func() bool {
		if code, body = ask(t, "http://"+address+"/readyz"); code != status {
			return false
		}
		for _, w := range words {
			if !strings.Contains(body, w) {
				return false
			}
		}
		return true
	}, func() string { return body })
}

// requested types a request in Slack and waits for its card.
func (d *duo) requested(t *testing.T, ticket string) slacksim.Message {
	t.Helper()
	bottest.Poll(t, func() bool { // until the bot is connected
		return d.sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-flush production "+ticket+" keys rotated").Err == nil
	}, func() string { return "the command to be taken" })
	return d.card(t, ticket)
}

// card waits for the message of the run with a ticket.
func (d *duo) card(t *testing.T, ticket string) (card slacksim.Message) {
	t.Helper()
	bottest.Poll(t, func() bool {
		for _, m := range d.sim.Messages("C0BRIDGE") {
			if strings.Contains(m.Text, ticket) && m.Metadata != nil {
				card = m
				return true
			}
		}
		return false
	}, func() string { return "the card of " + ticket + "\n" + d.sim.Transcript() })
	return card
}

// TestABotAndATerminal: a terminal that carries runs out while no bot is running
// leaves that to a bot as soon as one is, and to its successor; cards come
// whoever carries out, and a flush is done once.
func TestABotAndATerminal(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); botAndTerminal(t, newDuo(t, "journal.db")) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		var server postgrestest.Server
		t.Cleanup(server.Stop)
		botAndTerminal(t, newDuo(t, server.Database(t)))
	})
}

func botAndTerminal(t *testing.T, d *duo) {
	terminal := d.start(t, "robin", "production\n", "flush", "production", "--ticket", "INC-1", "--reason", "rotated")
	id := terminal.Says(`run (\S+) waits for 1 approval`)[1]
	terminal.Says("no bot is running")

	first := d.serve(t)
	first.Says("posting runs")
	card := d.card(t, "INC-1")
	first.Says("executing runs")
	terminal.Says("a bot is running now")
	d.ready(t, http.StatusOK, `"posting":"here"`, `"executing":"here"`, `"journal":"ok"`, `"slack":"ok"`)

	first.Cmd.Process.Kill()
	<-first.Ended
	second := d.serve(t)
	d.requested(t, "INC-2")
	second.Says("executing runs")
	if n := strings.Count(terminal.Err.String(), "no bot is running"); n != 1 {
		t.Errorf("the terminal carried runs out %d times:\n%s", n, terminal.Err.String())
	}
	if c := d.sim.Click("U0LEAD", card.Channel, card.TS, "approve"); c.Err != nil {
		t.Fatal(c.Err)
	}
	if code := terminal.Exit(); code != exitOK {
		t.Errorf("exit code %d\n%s%s", code, terminal.Out.String(), terminal.Err.String())
	}
	effects := 0
	for row, err := range d.journal(t).AuditRows(t.Context(), journal.AuditFilter{Run: id, Kind: "effect"}) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(row.Detail, "flush-cache") {
			effects++
		}
	}
	if effects != 1 {
		t.Errorf("%d flushes", effects)
	}
}

// within types or presses something and waits for the private answer, which has
// to come while people wait for one.
func (d *duo) within(t *testing.T, who, want string, do func() *slacksim.Delivery) {
	t.Helper()
	before := len(d.sim.Ephemerals(who, "C0BRIDGE"))
	begin := time.Now()
	if err := do().Err; err != nil {
		t.Fatal(err)
	}
	var said string
	bottest.Poll(t, func() bool {
		all := d.sim.Ephemerals(who, "C0BRIDGE")
		if len(all) > before {
			said = all[len(all)-1].Text
		}
		return strings.Contains(said, want)
	}, func() string { return want + ", and not: " + said + "\n" + d.sim.Transcript() })
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("answered after %v", took)
	}
}

const awayText = "The journal is unavailable at the moment. Nothing is lost; try again"

// TestTheBotWaitsForItsJournal: Postgres is away when the bot starts, and goes
// away again in the middle of a run: people are answered, /readyz tells it, and
// the same process goes on when it is back, and so does a terminal that watches.
func TestTheBotWaitsForItsJournal(t *testing.T) {
	t.Parallel()
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	d := newDuo(t, server.Database(t))
	server.Halt()
	bot := d.serve(t)
	d.ready(t, http.StatusServiceUnavailable, `"slack":"ok"`, "the server cannot be reached")
	flush := func() *slacksim.Delivery {
		return d.sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-flush production INC-1 keys rotated")
	}
	d.within(t, "U0ONCALL", awayText, flush)
	d.within(t, "U0ONCALL", awayText, func() *slacksim.Delivery {
		return d.sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-flush status production")
	})
	if err := d.sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-check production").Err; err != nil {
		t.Fatal(err)
	}
	bottest.Poll(t, func() bool { // it needs no journal
		return slices.ContainsFunc(d.sim.Messages("C0BRIDGE"), func(m slacksim.Message) bool {
			return m.Metadata != nil && m.Metadata.Payload["verdict"] == "stale_cache"
		})
	}, func() string { return d.sim.Transcript() })
	bringBack(t, &server)
	d.ready(t, http.StatusOK, `"journal":"ok"`, `"executing":"here"`, `"posting":"here"`)
	terminal := d.start(t, "robin", "production\n", "flush", "production", "--ticket", "INC-1", "--reason", "rotated")
	terminal.Says(`run (\S+) waits for 1 approval`)
	card := d.card(t, "INC-1")

	server.Halt()
	terminal.Says("the journal cannot be reached; nothing is lost, waiting for it")
	approve := func() *slacksim.Delivery { return d.sim.Click("U0LEAD", card.Channel, card.TS, "approve") }
	d.within(t, "U0LEAD", awayText, approve)
	d.ready(t, http.StatusServiceUnavailable, "the server cannot be reached")
	bringBack(t, &server)
	d.ready(t, http.StatusOK, `"journal":"ok"`, `"executing":"here"`, `"posting":"here"`)
	if err := approve().Err; err != nil {
		t.Fatal(err)
	}
	bottest.Poll(t, func() bool {
		m, _ := d.sim.Message(card.Channel, card.TS)
		return m.Metadata != nil && m.Metadata.Payload["state"] == string(runbook.StateDone)
	}, func() string { return "the end on the card\n" + d.sim.Transcript() + bot.Err.String() })
	if code := terminal.Exit(); code != exitOK {
		t.Errorf("the terminal ends with %d\n%s%s", code, terminal.Out.String(), terminal.Err.String())
	}
	select {
	case <-bot.Ended:
		t.Errorf("the bot ended: %v\n%s", bot.Cmd.ProcessState, bot.Err.String())
	default:
	}
}

func bringBack(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
}

// TestTheFileIsGone: the file of the journal is deleted, or another one takes
// its place, while a card waits: the bot says so, and nothing is decided or
// done.
func TestTheFileIsGone(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(path string) error{
		"deleted": os.Remove,
		"replaced": func(path string) error {
			return os.WriteFile(path+".new", nil, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDuo(t, "journal.db")
			bot := d.serve(t)
			d.ready(t, http.StatusOK)
			card := d.requested(t, "INC-1")
			if err := take(d.dir + "/journal.db"); err != nil {
				t.Fatal(err)
			}
			if name == "replaced" {
				if err := os.Rename(d.dir+"/journal.db.new", d.dir+"/journal.db"); err != nil {
					t.Fatal(err)
				}
			}
			d.ready(t, http.StatusServiceUnavailable, "deleted or replaced")
			d.within(t, "U0LEAD", "deleted or replaced", func() *slacksim.Delivery {
				return d.sim.Click("U0LEAD", card.Channel, card.TS, "approve")
			})
			m, _ := d.sim.Message(card.Channel, card.TS)
			if m.Metadata.Payload["state"] != string(runbook.StatePending) {
				t.Errorf("the card shows %v", m.Metadata.Payload["state"])
			}
			bot.Says("deleted or replaced")
			if strings.Contains(bot.Err.String(), `"decided"`) {
				t.Errorf("something was decided:\n%s", bot.Err.String())
			}
		})
	}
}

// TestAPoolerIsRefused: every command that uses the journal recognises a pooler
// that shares sessions, and says what to do; through one that keeps them apart
// the commands work.
func TestAPoolerIsRefused(t *testing.T) {
	t.Parallel()
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	database := server.Database(t)
	for _, mode := range []string{"transaction", "statement"} {
		d := newDuo(t, server.Pool(t, mode, 10).URL(database))
		bot := d.serve(t)
		if code := bot.Exit(); code != exitFailed {
			t.Errorf("%s: serve ends with %d", mode, code)
		}
		contains(t, bot.Err.String(), "pool_mode = session", "the server's own address")
		_, said := d.run(t, exitFailed, "robin", "", "runs")
		contains(t, said, "pool_mode = session")
		said, _ = d.run(t, exitFinding, "robin", "", "doctor")
		contains(t, strings.Join(strings.Fields(said), " "), "pool_mode = session")
	}
	d := newDuo(t, server.Pool(t, "session", 60).URL(database))
	said, _ := d.run(t, exitOK, "robin", "", "runs")
	contains(t, said, "no runs yet")
}

// TestWhatTimeDoesNotHeal ends the bot with a line, as it ends a command on a
// terminal; a server that is away ends only that.
func TestWhatTimeDoesNotHeal(t *testing.T) {
	t.Parallel()
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	database := server.Database(t)
	for tail, want := range map[string]string{"x": "there is no such database; create it", "?sslmode=require": "refused TLS"} {
		d := newDuo(t, database+tail)
		bot := d.serve(t)
		if code := bot.Exit(); code != exitFailed {
			t.Errorf("serve ends with %d", code)
		}
		contains(t, bot.Err.String(), want)
		_, said := d.run(t, exitFailed, "robin", "", "runs")
		contains(t, said, want)
	}
	server.Halt()
	_, said := newDuo(t, database).run(t, exitFailed, "robin", "", "runs")
	contains(t, said, "the server cannot be reached; check the address")
}

// TestHealthPortLetsGo: who asks and stays connected is let go.
func TestHealthPortLetsGo(t *testing.T) {
	t.Parallel()
	_, address := servingHealth(t, slacksim.New(slacksim.Options{}))
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() {
		b := make([]byte, 4096)
		for {
			if _, err := conn.Read(b); err != nil {
				closed <- err
				return
			}
		}
	}()
	select {
	case <-closed:
	case <-bottest.Bounded(t, 4*healthIdle).Done():
		t.Error("an idle connection is never closed")
	}
}
