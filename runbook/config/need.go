package config

import (
	"errors"
	"fmt"
)

// Need reports which of the values, needed by the command at hand, hang on
// variables that are not set.
func (c *Config) Need(paths ...string) error {
	p := &Problems{file: c.lines.file}
	for _, path := range paths {
		if name := c.lines.unset[path]; name != "" {
			p.add(c.lines.line[path], "%s: the environment variable %s is not set", path, name)
		}
	}
	return p.err()
}

// NeedToServe says which token is missing, and where it comes from.
func (c *Config) NeedToServe() error {
	if err := c.Need("slack.bot_token", "slack.app_token"); err != nil {
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

// Under puts the path of a group before each of the keys.
func Under(pre string, keys ...string) []string {
	for i := range keys {
		keys[i] = pre + "." + keys[i]
	}
	return keys
}

// NeedToAct says which secrets are missing to carry out runs: a check does
// without them.
func (c *Config) NeedToAct() error {
	var paths []string
	for i := range c.Targets {
		paths = append(paths, Under(fmt.Sprintf("targets[%d]", i), "commandbridge.url", "commandbridge.token",
			"canary.token_url", "canary.client_id", "canary.client_secret", "canary.url",
			"escalation.pagerduty_key", "escalation.pagerduty_url", "escalation.sns_topic", "escalation.user_group")...)
	}
	return c.Need(paths...)
}
