package slacksim_test

import (
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"jwksbot/bot/slacksim"
)

// triggers connects an app that acknowledges everything and hands out the
// trigger ids of the commands it gets.
func triggers(t *testing.T, o slacksim.Options) (*slacksim.Sim, *slack.Client, func() string) {
	t.Helper()
	sim, api := start(t, o)
	ids := make(chan string, 1)
	connect(t, sim, api, func(sm *socketmode.Client, ev socketmode.Event) {
		ackAll(sm, ev)
		if cmd, ok := ev.Data.(slack.SlashCommand); ok {
			ids <- cmd.TriggerID
		}
	})
	return sim, api, func() string {
		t.Helper()
		if d := sim.Command("U0ONCALL", "inc-bridge", "/jwks-flush"); d.Err != nil {
			t.Fatal(d.Err)
		}
		return <-ids
	}
}

func TestTriggers(t *testing.T) {
	_, api, trigger := triggers(t, slacksim.Options{})
	id := trigger()
	if _, err := api.OpenView(id, modal()); err != nil {
		t.Fatal(err)
	}
	if _, err := api.OpenView(id, modal()); code(err) != "exchanged_trigger_id" {
		t.Errorf("second use: %v", err)
	}
	if _, err := api.OpenView("1.2.3", modal()); code(err) != "invalid_trigger_id" {
		t.Errorf("made-up trigger: %v", err)
	}
	_, slow, late := triggers(t, slacksim.Options{TriggerLife: time.Nanosecond})
	if _, err := slow.OpenView(late(), modal()); code(err) != "expired_trigger_id" {
		t.Errorf("late trigger: %v", err)
	}
}

func TestModalStack(t *testing.T) {
	sim, api, trigger := triggers(t, slacksim.Options{})
	first, err := api.OpenView(trigger(), modal())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "", "push_limit_reached"} {
		if _, err := api.PushView(trigger(), modal()); code(err) != want {
			t.Errorf("push %d: %v", i+1, err)
		}
	}
	if _, err := api.UpdateView(modal(), "", "stale hash", first.View.ID); code(err) != "hash_conflict" {
		t.Errorf("wrong hash: %v", err)
	}
	if _, err := api.UpdateView(modal(), "", first.View.Hash, first.View.ID); err != nil {
		t.Errorf("right hash: %v", err)
	}
	if _, err := api.UpdateView(modal(), "", "", "V0NOPE"); code(err) != "not_found" {
		t.Errorf("unknown view: %v", err)
	}
	for range 3 {
		if d := sim.CloseView("U0ONCALL"); d.Err != nil {
			t.Error(d.Err)
		}
	}
	if v, open := sim.View("U0ONCALL"); open {
		t.Errorf("still open: %+v", v)
	}
}

func TestViewLimits(t *testing.T) {
	_, api, trigger := triggers(t, slacksim.Options{})
	long := func(n int) string { return string(make([]rune, n)) }
	for name, change := range map[string]func(*slack.ModalViewRequest){
		"title":            func(m *slack.ModalViewRequest) { m.Title.Text = long(25) },
		"submit":           func(m *slack.ModalViewRequest) { m.Submit.Text = long(25) },
		"no submit":        func(m *slack.ModalViewRequest) { m.Submit = nil },
		"private metadata": func(m *slack.ModalViewRequest) { m.PrivateMetadata = long(3001) },
		"callback id":      func(m *slack.ModalViewRequest) { m.CallbackID = long(256) },
		"markdown block":   func(m *slack.ModalViewRequest) { m.Blocks.BlockSet = []slack.Block{slack.NewMarkdownBlock("", "x")} },
	} {
		m := modal()
		change(&m)
		if _, err := api.OpenView(trigger(), m); code(err) != "invalid_arguments" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHome(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	home := slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: []slack.Block{slack.NewActionBlock("b", button("again", "Check again"))}}}
	clicked := make(chan slack.InteractionCallback, 1)
	connect(t, sim, api, func(sm *socketmode.Client, ev socketmode.Event) {
		ackAll(sm, ev)
		switch data := ev.Data.(type) {
		case slack.InteractionCallback:
			clicked <- data
		default:
			_, _ = api.PublishView("U0LEAD", home, "")
		}
	})
	if d := sim.OpenHome("U0LEAD"); d.Err != nil {
		t.Fatal(d.Err)
	}
	wait(t, sim, func(s *slacksim.Sim) bool { _, ok := s.Home("U0LEAD"); return ok })
	v, _ := sim.Home("U0LEAD")
	if d := sim.ClickView("U0LEAD", v.ID, "again"); d.Err != nil {
		t.Fatal(d.Err)
	}
	if cb := <-clicked; cb.View.ID != v.ID || cb.Container.Type != "view" || cb.TriggerID == "" {
		t.Errorf("callback = %+v", cb)
	}
	if _, err := api.PublishView("U0LEAD", home, "stale"); code(err) != "hash_conflict" {
		t.Errorf("wrong hash: %v", err)
	}
}

// What an app answers to a submission decides what the person sees next.
func TestSubmissionAnswers(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	answers := make(chan any, 1)
	next := modal()
	next.Title.Text = "Next"
	connect(t, sim, api, func(sm *socketmode.Client, ev socketmode.Event) {
		if cb, ok := ev.Data.(slack.InteractionCallback); ok && cb.Type == slack.InteractionTypeViewSubmission {
			_ = sm.Ack(*ev.Request, <-answers)
			return
		}
		ackAll(sm, ev)
		if cmd, ok := ev.Data.(slack.SlashCommand); ok {
			_, _ = api.OpenView(cmd.TriggerID, modal())
		}
	})
	filled := map[string]map[string]any{"ticket": {"value": "INC-1"}}
	for name, c := range map[string]struct {
		answer any
		title  string // of the modal that is seen afterwards
		fails  bool
	}{
		"nothing closes":      {map[string]any{}, "", false},
		"clear":               {slack.NewClearViewSubmissionResponse(), "", false},
		"update":              {slack.NewUpdateViewSubmissionResponse(&next), "Next", false},
		"push":                {slack.NewPushViewSubmissionResponse(&next), "Next", false},
		"error at a block":    {slack.NewErrorsViewSubmissionResponse(map[string]string{"ticket": "no"}), "Flush", false},
		"error at no block":   {slack.NewErrorsViewSubmissionResponse(map[string]string{"nope": "no"}), "Flush", true},
		"update without view": {map[string]any{"response_action": "update"}, "Flush", true},
	} {
		if d := sim.Command("U0LEAD", "inc-bridge", "/jwks-flush"); d.Err != nil {
			t.Fatal(d.Err)
		}
		wait(t, sim, func(s *slacksim.Sim) bool {
			v, ok := s.View("U0LEAD")
			return ok && v.Title == "Flush" && v.Errors == nil
		})
		answers <- c.answer
		d := sim.Submit("U0LEAD", "", filled)
		v, _ := sim.View("U0LEAD")
		if v.Title != c.title || (d.Err != nil) != c.fails {
			t.Errorf("%s: title %q, want %q; error %v", name, v.Title, c.title, d.Err)
		}
		for d := sim.CloseView("U0LEAD"); d.Err == nil; d = sim.CloseView("U0LEAD") {
		}
	}
}
