package slacksim_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/slack-go/slack"

	"jwksbot/bot/slacksim"
)

// pageShowsPictures: a chart that was uploaded into a thread is seen there, and
// read to those who do not see it.
func pageShowsPictures(t *testing.T, chromium context.Context) {
	sim, api := start(t, slacksim.Options{})
	_, ts, err := api.PostMessage(bridge, slack.MsgOptionText("the run", false))
	if err != nil {
		t.Fatal(err)
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 40, 20))); err != nil {
		t.Fatal(err)
	}
	if _, err := api.UploadFile(slack.UploadFileParameters{Filename: "watch.png", Title: "Share of failures", AltTxt: "failures fell from 34 % to 0 %",
		FileSize: picture.Len(), Reader: &picture, Channel: bridge, ThreadTimestamp: ts}); err != nil {
		t.Fatal(err)
	}
	tab := open(t, chromium, sim, "?as=U0LEAD&channel="+bridge+"&thread="+ts)
	shows(t, tab, "#thread figcaption", "Share of failures")
	until(t, tab, `document.querySelector('#thread img[alt^="failures fell"]')?.naturalWidth === 40`)
	do(t, tab, chromedp.WaitVisible("#thread img"))
	until(t, tab, `!document.querySelector('#messages img')`) // it is no message of the channel
}
