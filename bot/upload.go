package bot

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/bot/socket"
	"jwksbot/runbook"
)

// methodUpload stands for the three calls of an upload: they share one hold.
const methodUpload = "files.completeUploadExternal"

// uploadWithin bounds the three calls of one upload.
const uploadWithin = 20 * time.Second

// upload puts a file into a thread and returns its id: an address is asked for,
// the bytes go there, and the file is shared (docs.slack.dev "Working with
// files"). It is not repeated, since nobody depends on a picture.
func (s *sender) upload(ctx context.Context, channel, thread string, f render.File) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, uploadWithin)
	defer cancel()
	if err := s.admit(ctx, channel, thread, false); err != nil {
		return "", err
	}
	err = s.attempt(methodUpload, func() error {
		if err := s.allowed(); err != nil {
			return err
		}
		done, err := s.api.UploadFileContext(ctx, slack.UploadFileParameters{
			Filename: f.Name, Title: f.Title, AltTxt: f.Alt, InitialComment: f.Comment,
			Reader: bytes.NewReader(f.Content), FileSize: len(f.Content), Channel: channel, ThreadTimestamp: thread,
		})
		if err != nil {
			return socket.WithoutURL(err)
		}
		id = done.ID
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("upload %q: %w", f.Name, withMissingScope("files", err))
	}
	return id, nil
}

// ChartName is the name of the file that shows the watch of a run.
func ChartName(runID string) string { return "jwksbot-" + runID + ".png" }

// draw draws a series; ok is false when there is nothing to draw, or it
// cannot be drawn.
func (b *Bot) draw(s runbook.Series, name string) (f render.File, ok bool) {
	if b.Chart == nil || !render.Drawable(s) {
		return f, false
	}
	png, err := b.Chart(s)
	if err != nil || len(png) == 0 {
		b.Log.Warn("a chart could not be drawn", "title", s.Title, "error", err)
		return f, false
	}
	return render.Chart(s, name, png), true
}
