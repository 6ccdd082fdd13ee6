package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Use is what a command does with the file. The declaration of a key names the
// uses that cannot do without its value.
type Use string

// The uses.
const (
	ToCheck   Use = "check"  // make a target ready, which every check needs
	ToAct     Use = "act"    // carry out a run, call people
	ToRecord  Use = "record" // open the journal
	ToServe   Use = "serve"  // talk to Slack
	ForPolicy Use = "policy" // name what the bot needs at AWS
)

// Need says which variables are not set that a use needs, in the whole file.
func (c *Config) Need(use Use) error { return c.need(reflect.ValueOf(c).Elem(), "", use) }

// NeedOf is Need for one target alone.
func (c *Config) NeedOf(target int, use Use) error {
	return c.need(reflect.ValueOf(&c.Targets[target]).Elem(), element("targets", target), use)
}

func (c *Config) need(group reflect.Value, path string, use Use) error {
	p := &Problems{file: c.lines.file}
	each(group, path, func(path string, k key) {
		if !slices.Contains(strings.Fields(k.tag.Get("need")), string(use)) {
			return
		}
		for at, name := range c.lines.unset {
			if at == path || strings.HasPrefix(at, path+"[") {
				p.add(c.lines.line[at], "%s: the environment variable %s is not set", at, name)
			}
		}
	})
	return p.err()
}

// NeedToServe says which token is missing, and where it comes from.
func (c *Config) NeedToServe() error {
	if err := c.Need(ToServe); err != nil {
		return fmt.Errorf("%w\nBoth tokens come from the app's page at Slack: the bot token (xoxb-…) from OAuth & Permissions, the app-level token (xapp-…, scope connections:write) from Basic Information", err)
	}
	if c.Slack.BotToken == "" || c.Slack.AppToken == "" {
		return errors.New("slack.bot_token and slack.app_token are needed to serve: set SLACK_BOT_TOKEN and SLACK_APP_TOKEN")
	}
	return nil
}

// Unset names the variables that the file asks for and that are not set, by the
// path of the value.
func (c *Config) Unset() map[string]string { return c.lines.unset }

// Ready says that a target waits for no variable with any of these keys, like
// "canary.url".
func (c *Config) Ready(target int, keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { return c.lines.has(element("targets", target) + "." + key) })
}
