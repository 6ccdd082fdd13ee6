package cache

import "strings"

// commands is everything that this package sends, but for AUTH and HELLO, which
// every user may: the rule of the bot's user in Redis is made of it. A test runs
// all that a Store does as a user with exactly that rule, and holds the table
// against what the server counted.
var commands = []struct {
	name   string // as a rule of an ACL writes it
	needed func(Settings) bool
}{
	// Where the keys are.
	{"cluster|slots", always},
	{"asking", always}, // while slots are moved
	{"select", func(s Settings) bool { return s.database() != 0 }},
	{"scan", always},
	{"dbsize", always},
	// What they hold, and a copy of it.
	{"type", always},
	{"pttl", always},
	{"strlen", always},
	{"memory|usage", func(s Settings) bool { return s.Serverless == "" }}, // which has no such command
	{"getrange", always},
	{"get", always},
	{"hscan", always},
	{"hlen", always},
	{"hgetall", always},
	{"sscan", always},
	{"scard", always},
	{"smembers", always},
	{"zcard", always},
	{"zrange", always},
	{"llen", always},
	{"lrange", always},
	{"dump", always},
	{"eval", always},
	{"evalsha", always},
	// What changes them.
	{"unlink", always},
	{"restore", always},
	{"flushall", func(s Settings) bool { return s.FlushAll }},
}

func always(Settings) bool { return true }

// Access is the ACL rule of Redis, and access string of ElastiCache, that a user
// of the bot needs for what the settings allow, and no more.
func (s Settings) Access() string {
	words := []string{"on"}
	for _, p := range s.Patterns {
		words = append(words, "~"+strings.ReplaceAll(p, " ", "?")) // a blank ends a word
	}
	words = append(words, "-@all")
	for _, c := range commands {
		if c.needed(s) {
			words = append(words, "+"+c.name)
		}
	}
	return strings.Join(words, " ")
}

// database is the number that the URL names.
func (s Settings) database() int {
	if a, err := parseURL(s.URL); err == nil {
		return a.db
	}
	return 0
}
