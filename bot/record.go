package bot

import (
	"context"
	"errors"
	"fmt"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/record"
)

// record posts the record of a run, for the review afterwards, as a file into
// the run's thread, with the chart of its watch, and tells the person where.
func (b *Bot) record(ctx context.Context, from origin, l line) error {
	if b.Report == nil {
		return &runbook.Refusal{Code: "no_record", Text: "This installation of jwksbot does not write records. In a terminal, `jwksbot report` does."}
	}
	run, err := b.runAskedFor(ctx, from, l)
	if err != nil {
		return err
	}
	text, err := b.Report(ctx, run)
	if err != nil {
		return fmt.Errorf("record of run %s: %w", run.ID, err)
	}
	terminal := "In a terminal, " + render.Code("jwksbot report "+run.ID) + " prints it."
	if run.Post.TS == "" {
		b.private(ctx, from, fmt.Sprintf("Run %s has no message here, so its record has no thread to go to. %s", render.Code(run.ID), terminal))
		return nil
	}
	files := []render.File{render.Record(run, from.user, text)}
	if chart, ok := b.draw(record.Series(run), ChartName(run.ID)); ok {
		files = append(files, chart)
	}
	for _, f := range files {
		if _, err := b.send.upload(ctx, run.Post.Channel, run.Post.TS, f); err != nil {
			b.Log.Warn("the record of a run could not be posted", "run", run.ID, "file", f.Name, "error", err)
			b.private(ctx, from, fmt.Sprintf("Slack did not accept the record of run %s (%s). %s", render.Code(run.ID), render.Quoted(uploadProblem(err), render.LimitSentence), terminal))
			return nil
		}
	}
	where := fmt.Sprintf("in the thread of its message in <#%s>", run.Post.Channel)
	if link := b.permalink(ctx, run.Post); link != "" {
		where = fmt.Sprintf("<%s|in the thread of its message>", link)
	}
	b.private(ctx, from, fmt.Sprintf("The record of run %s is %s. %s", render.Code(run.ID), where, terminal))
	return nil
}

// uploadProblem says what an upload failed of, for somebody who can act on it.
func uploadProblem(err error) string {
	var here *notPostable
	switch {
	case errors.As(err, &here) && here.shared:
		return "the channel is shared with another organisation now"
	case errors.As(err, new(*readersUnknown)):
		return "it did not say who reads the channel"
	}
	switch slackCode(err) {
	case "":
		return "no connection, or it took too long"
	case "missing_scope":
		return "the app lacks the scope files:write; add it and install the app again"
	case "not_in_channel", "channel_not_found":
		return "jwksbot is no longer a member of the channel"
	}
	return slackCode(err)
}

// runAskedFor finds the run that a line names: by its id, by its target, or the
// newest of all that the person may see.
func (b *Bot) runAskedFor(ctx context.Context, from origin, l line) (runbook.Run, error) {
	if ref, ok := render.ParsePlanRef(l.target); ok && ref.Generation == 0 {
		run, err := b.Ledger.Run(ctx, l.target)
		if errors.Is(err, runbook.ErrUnknownRun) {
			return run, &runbook.Refusal{Code: approve.RefusedUnknownRun, Text: fmt.Sprintf("There is no run %s. `%s history` lists the latest ones.", l.target, commandCheck)}
		}
		if err != nil {
			return run, err
		}
		_, err = b.Service.View(ctx, run.Target, from.user)
		return run, err
	}
	targets, err := b.targetNames(ctx, from, l.target)
	if err != nil {
		return runbook.Run{}, err
	}
	runs, err := b.newest(ctx, targets)
	if err != nil {
		return runbook.Run{}, err
	}
	if len(runs) == 0 {
		return runbook.Run{}, &runbook.Refusal{Code: approve.RefusedUnknownRun, Text: "There is no run yet, so there is no record of one."}
	}
	return runs[0], nil
}
