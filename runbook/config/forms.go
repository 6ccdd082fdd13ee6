package config

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"

	"jwksbot/runbook/outbound"
)

// forms say what is wrong with the text of a key, by the form that its
// declaration names; "" is in order.
var forms = map[string]func(text string) (wrong string){
	"address":         wrongAddress,
	"url":             wrongURL,
	"key":             wrongKey,
	"entries":         wrongEntries,
	"bot token":       startsWith("xoxb-", "a bot token"),
	"app-level token": startsWith("xapp-", "an app-level token"),
	"user pool":       looksLike(`^[a-z]{2}(-[a-z]+)+-\d_[A-Za-z0-9]+$`, "%q is not a user pool id: it looks like eu-west-2_AbCdEfGhI"),
	"api":             looksLike(`^[a-z0-9]{1,32}$`, "%q is not an API id: it looks like a1b2c3d4e5; take it from the API's page or from its URL"),
	"topic":           looksLike(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$`, "%q is not a topic: write its ARN, arn:aws:sns:REGION:ACCOUNT:NAME"),
	"group":           looksLike(`^S[A-Z0-9]{2,}$`, "%q is not a user group: take its id (S…) from Slack, not its name"),
	"people":          looksLike(`^[UWS][A-Z0-9]{2,}$`, "%q is neither a user (U…, W…) nor a user group (S…); take the id from Slack, not the name"),
}

// formOf finds a form by its name. A form may also list the words that a key
// takes: "one of iam, password, none", "direct or commandbridge".
func formOf(name string) func(text string) (wrong string) {
	words := strings.Split(strings.TrimPrefix(name, "one of "), ", ")
	if len(words) == 1 {
		words = strings.Split(name, " or ")
	}
	if len(words) == 1 {
		return forms[name]
	}
	return func(text string) string {
		if slices.Contains(words, text) {
			return ""
		}
		return fmt.Sprintf("%q: %s", text, name)
	}
}

// validateForms looks at every text that has a form. An empty one is not set.
func (c *Config) validateForms(p *Problems) {
	p.malformed = map[string]bool{}
	look := func(path, form, text string) {
		if wrong := formOf(form)(text); wrong != "" && !c.lines.has(path) {
			p.add(c.lines.at(path), "%s: %s", path, wrong)
			p.malformed[path] = true
		}
	}
	each(reflect.ValueOf(c).Elem(), "", func(path string, k key) {
		form := k.tag.Get("form")
		switch {
		case form == "":
		case k.value.Kind() == reflect.Slice:
			for i := range k.value.Len() {
				look(element(path, i), form, k.value.Index(i).String())
			}
		case k.value.String() != "":
			look(path, form, k.value.String())
		}
	})
}

// looksLike is a form that a regular expression tells; the message gets the text.
func looksLike(expr, message string) func(string) string {
	like := pattern(expr)
	return func(text string) string {
		if like().MatchString(text) {
			return ""
		}
		return fmt.Sprintf(message, text)
	}
}

// startsWith is the form of a token: one of the wrong kind is refused before
// Slack does it. The text is a secret.
func startsWith(prefix, kind string) func(string) string {
	return func(text string) string {
		if strings.HasPrefix(text, prefix) {
			return ""
		}
		return fmt.Sprintf("this is not %s: it must begin with %s", kind, prefix)
	}
}

func wrongAddress(text string) string {
	if _, _, err := net.SplitHostPort(text); err != nil {
		return fmt.Sprintf("%q is not an address: write 127.0.0.1:9090", text)
	}
	return ""
}

func wrongKey(text string) string {
	if b, err := base64.StdEncoding.DecodeString(text); err != nil || len(b) != 32 {
		return "not 32 bytes in base64; make one with: openssl rand -base64 32"
	}
	return ""
}

// anything is a pattern of entries without one letter of its own.
var anything = pattern(`^([*?]|\[[^\]]*\])*$`)

func wrongEntries(text string) string {
	if _, err := path.Match(text, ""); err != nil || anything().MatchString(text) {
		return fmt.Sprintf("%q would match everything, or is not a pattern: name the entries that hold key sets, like \"jwks:*\"", text)
	}
	return ""
}

// wrongURL refuses what would carry a secret, or the keys that everything hangs
// on, over an open connection.
func wrongURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, "@") && (err != nil || u.User != nil || u.Host == ""): // may hold a password: it is not repeated
		return "the URL must not carry a user or password"
	case err != nil || u.Host == "":
		return fmt.Sprintf("%q is not a URL", text)
	case !outbound.Private(u):
		return fmt.Sprintf("%q must be https, except on a loopback address", text)
	}
	return ""
}
