package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// TestPetitions: each is taken once, in order, by the executor alone, and its
// proof is gone with the answer.
func TestPetitions(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		terminal := open(t, url)
		body := json.RawMessage(`{"b":  1, "a": "é"}`) // a proof is bound to these bytes
		for i := range 3 {
			if err := terminal.Petition(ctx, Petition{ID: fmt.Sprintf("p%d", i), Body: body, Proof: "signed"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := terminal.Petition(ctx, Petition{ID: "p1", Body: body}); err == nil {
			t.Error("the same petition was accepted twice")
		}
		if _, _, err := j.Tenure().TakePetition(ctx); !errors.Is(err, ErrNotExecutor) {
			t.Errorf("taken by a process that does not execute: %v", err)
		}
		execute(t, j, forward)
		eventually(t, "executing", j.Executing)
		p, ok, err := j.Tenure().TakePetition(ctx)
		if err != nil || !ok || p.ID != "p0" || string(p.Body) != string(body) || p.Proof != "signed" {
			t.Fatalf("took %+v, %t, %v", p, ok, err)
		}
		if err := j.AnswerPetition(ctx, "p0", json.RawMessage(`{"text":"yes"}`)); err != nil {
			t.Fatal(err)
		}
		if got, err := terminal.ReadPetition(ctx, "p0"); err != nil || !got.Taken || string(got.Answer) != `{"text":"yes"}` {
			t.Errorf("read %+v, %v", got, err)
		}
		var proof string
		if err := j.db.QueryRow(`SELECT proof FROM petitions WHERE id = 'p0'`).Scan(&proof); err != nil || proof != "" {
			t.Errorf("the proof is still %q, %v", proof, err)
		}
		if _, err := terminal.ReadPetition(ctx, "p9"); !errors.Is(err, ErrUnknownPetition) {
			t.Errorf("an unknown one: %v", err)
		}
		var taken atomic.Int64
		var hands sync.WaitGroup
		for range 6 {
			hands.Go(func() {
				if _, ok, err := j.Tenure().TakePetition(ctx); err != nil {
					t.Error(err)
				} else if ok {
					taken.Add(1)
				}
			})
		}
		hands.Wait()
		if taken.Load() != 2 {
			t.Errorf("%d were taken, two were left", taken.Load())
		}
	})
}
