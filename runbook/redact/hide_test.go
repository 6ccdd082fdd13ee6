package redact

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// planted is a secret in every form that a setting or an error may have.
const planted = "s3cr3t-Pa55"

func TestNoURLKeepsItsAccess(t *testing.T) {
	broken := fmt.Sprintf("mysql://bot:%s %%zz@db:3306/x", planted)
	_, unreadable := url.Parse(broken)
	if unreadable == nil || !strings.Contains(unreadable.Error(), planted) {
		t.Fatalf("net/url does not repeat what it cannot read: %v", unreadable)
	}
	for _, scheme := range []string{"mysql", "postgres", "postgresql", "redis", "rediss", "mongodb+srv", "amqp", "https", "http", "socks5", "x-made.up"} {
		for _, form := range []string{"%s://bot:" + planted + "@db.example:1/x", "%s://:" + planted + "@db", "%s://" + planted + "@db", "%s://bot:" + planted + "/slash@db/x",
			"%s://db/x?sslmode=off&password=" + planted, "%s://db/x?token=" + planted + "&a=b", `parse "%s://bot:` + planted + ` blank@db": invalid character " " in host name`} {
			text := fmt.Sprintf("at "+form+": refused", scheme)
			if got := URLs(text); strings.Contains(got, planted) || !strings.Contains(got, "refused") && !strings.Contains(got, "invalid") || !strings.HasPrefix(got, "at ") {
				t.Errorf("%q\nis %q", text, got)
			}
		}
	}
	for _, text := range []string{
		"host=db user=bot password=" + planted + " dbname=x", "host=db password='" + planted + "\\' x' user=bot", `"host=db password=\"` + planted + `\" x"`, "bot:" + planted + "@tcp(db:3306)/x",
		"Server=db;Uid=bot;Pwd=" + planted + ";", unreadable.Error(), `"bot:` + planted + `@db:6379"`, errors.Join(unreadable, unreadable).Error(),
	} {
		if got := URLs(text); strings.Contains(got, planted) {
			t.Errorf("%q\nis %q", text, got)
		}
	}
	for _, text := range []string{"", "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_x/robin@example.com: mapped to nobody", "https://h:8080/@scope/x?mail=a@b&kid=c", "HASH@SEQ",
		"cache.password: none, but there is a password: write password", "time=2026-02-14T03:00:00Z msg=started", "jwksbot@0.1", "set SLACK_BOT_TOKEN and SLACK_APP_TOKEN"} {
		if got := URLs(text); got != text {
			t.Errorf("%q\nis %q", text, got)
		}
	}
}
