package bot

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Scopes are the scopes of the bot token, each with the calls that need it.
// The app-level token needs connections:write besides.
func Scopes() []string {
	return []string{
		"commands",        // the two slash commands and the shortcut
		"chat:write",      // chat.postMessage, chat.update, chat.postEphemeral
		"files:write",     // charts and records in threads
		"usergroups:read", // usergroups.users.list: who may request and approve
		"users:read",      // users.info: members, guests, strangers, bots
		"channels:read",   // conversations.info, users.conversations
		"groups:read",     // the same for private channels
	}
}

// MissingScopes compares the scopes that Slack names in the header of its
// answers with those that the bot needs. ok is false where Slack named none.
func MissingScopes(answer http.Header) (missing []string, ok bool) {
	given := strings.FieldsFunc(answer.Get("X-OAuth-Scopes"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(given) == 0 {
		return nil, false
	}
	return slices.DeleteFunc(Scopes(), func(s string) bool { return slices.Contains(given, s) }), true
}

// manifest has the places of the commands, the shortcut and the scopes. It is
// no text/template, which calls methods by name: a program that holds one call
// of that kind keeps every method of every type, of the AWS SDK too.
const manifest = `# Creates the Slack app: api.slack.com/apps → Create New App → From a manifest.
# Afterwards: install it, and make an app-level token with connections:write.
_metadata:
  major_version: 2
  minor_version: 1
display_information:
  name: jwksbot
  description: Finds out why valid tokens are rejected after a key rotation, and flushes the stale cache with approval and proof.
  background_color: "#1f3a5f"
features:
  app_home:
    home_tab_enabled: true
    messages_tab_enabled: true
    messages_tab_read_only_enabled: false
  bot_user:
    display_name: jwksbot
    always_online: true
  slash_commands:
%s  shortcuts:
%soauth_config:
  scopes:
    bot:
%ssettings:
  event_subscriptions:
    bot_events:
      - app_home_opened
  interactivity:
    is_enabled: true
  org_deploy_enabled: false
  socket_mode_enabled: true
  token_rotation_enabled: false
`

// Manifest is the app manifest that creates the Slack app with exactly the
// commands, the shortcut and the scopes that the code uses.
func Manifest() string {
	var commands, shortcuts, scopes strings.Builder
	for _, c := range Commands() {
		fmt.Fprintf(&commands, "    - command: %s\n      description: %s\n      usage_hint: %q\n      should_escape: false\n", c.Name, c.Description, c.Hint)
	}
	for _, s := range Shortcuts() {
		fmt.Fprintf(&shortcuts, "    - name: %s\n      type: message\n      callback_id: %s\n      description: %s\n", s.Name, s.ID, s.Description)
	}
	for _, scope := range Scopes() {
		fmt.Fprintf(&scopes, "      - %s\n", scope)
	}
	return fmt.Sprintf(manifest, commands.String(), shortcuts.String(), scopes.String())
}
