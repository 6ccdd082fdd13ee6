package cache

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// Writability is what the primaries say about mitigations that may come.
type Writability struct {
	Primaries int // that would take a flush
	// Untested are commands that may be needed, and whose right cannot be tried
	// without using them.
	Untested []string
}

// Writable asks every primary whether it would take what a mitigation may send,
// without sending that: by ACL DRYRUN where the server lets the user, else by
// deleting one random name that nobody has and no pattern matches, which the
// server judges before it looks for the name. FLUSHALL is never sent.
func (s *Store) Writable(ctx context.Context) (Writability, error) {
	name, err := s.nobody()
	if err != nil {
		return Writability{}, err
	}
	var out Writability
	err = s.with(ctx, func(ctx context.Context, f *fleet) error {
		var mu sync.Mutex
		untested := map[string]bool{}
		if err := f.each(ctx, func(ctx context.Context, _ int, p *primary) error {
			left, err := s.mayWrite(ctx, p, name)
			mu.Lock()
			defer mu.Unlock()
			for _, c := range left {
				untested[c] = true
			}
			return err
		}); err != nil {
			return err
		}
		out = Writability{Primaries: len(f.primaries)}
		for c := range untested {
			out.Untested = append(out.Untested, c)
		}
		sort.Strings(out.Untested)
		return nil
	})
	if err != nil {
		return Writability{}, fmt.Errorf("cache %q: a mitigation would be refused: %w", s.name(), err)
	}
	return out, nil
}

// nobody is a random name that no pattern matches.
func (s *Store) nobody() (string, error) {
	for range 100 {
		name := rand.Text() + ":jwksbot-doctor"
		if !slices.ContainsFunc(s.settings.Patterns, func(p string) bool { return globMatch(p, name) }) {
			return name, nil
		}
	}
	return "", errors.New("cache: the patterns of cache.keys match every name: nothing was tried")
}

// mayWrite asks one primary, and returns the commands that could not be tried.
func (s *Store) mayWrite(ctx context.Context, p *primary, name string) (untested []string, err error) {
	pipe := p.client.Pipeline()
	hello := askHello(ctx, pipe)
	dry := s.dryRun(ctx, pipe)
	exec(ctx, pipe)
	if err := hello.Err(); err != nil && dry[0].cmd.Err() != nil && !answered(dry[0].cmd.Err()) {
		return nil, p.explain("ACL DRYRUN", dry[0].cmd.Err())
	}
	if err := p.watchRole(hello); err != nil {
		return nil, err
	}
	for _, d := range dry {
		answer, err := d.cmd.Text()
		switch {
		case err != nil: // this user, or this server, has no ACL DRYRUN
			return s.tryNobody(ctx, p, name)
		case answer != "OK" && aboutKeys(answer):
			return nil, p.denies(fmt.Sprintf("change names of %q", d.pattern), errors.New(answer))
		case answer != "OK":
			return nil, p.denies("run +"+d.command, errors.New(answer))
		}
	}
	return nil, nil
}

// answered says that it was the server that refused, not the way to it.
func answered(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// dryRun is one command that would be sent, and what the server says of it.
type dryRun struct {
	command, pattern string
	cmd              *redis.Cmd
}

// dryRun asks what would become of each command that changes something.
func (s *Store) dryRun(ctx context.Context, pipe redis.Pipeliner) (out []dryRun) {
	user := s.settings.Username
	if user == "" {
		user = "default"
	}
	ask := func(pattern, command string, args ...any) {
		out = append(out, dryRun{command, pattern, pipe.Do(ctx, append([]any{"acl", "dryrun", user, command}, args...)...)})
	}
	for _, pattern := range s.settings.Patterns {
		name := sampleName(pattern)
		ask(pattern, "eval", "return 0", "1", name)
		ask(pattern, "evalsha", judge.sha, "1", name)
		ask(pattern, "unlink", name)
		ask(pattern, "restore", name, "0", "x")
	}
	if s.settings.FlushAll {
		ask("", "flushall", "async")
	}
	return out
}

// tryNobody deletes a name that nobody has, by command and by script, and looks
// whether names that match may be touched. That a name of no pattern may not be
// touched is as it should be: the right to the command is judged before.
func (s *Store) tryNobody(ctx context.Context, p *primary, name string) (untested []string, err error) {
	pipe := p.client.Pipeline()
	tried := []dryRun{
		{"unlink", "", pipe.Do(ctx, "unlink", name)},
		{"eval", "", pipe.Eval(ctx, judge.text, []string{name}, "", "", "", "keep", "0")},
		{"evalsha", "", pipe.EvalSha(ctx, judge.sha, []string{name}, "", "", "", "keep", "0")},
	}
	var names []*redis.StatusCmd
	for _, pattern := range s.settings.Patterns {
		names = append(names, pipe.Type(ctx, sampleName(pattern)))
	}
	exec(ctx, pipe)
	for _, t := range tried {
		_, moved := redis.IsMovedError(t.cmd.Err())
		switch err := t.cmd.Err(); {
		case err == nil, moved, deniesKey(err), redis.HasErrorPrefix(err, "NOSCRIPT"):
		case redis.IsPermissionError(err):
			return nil, p.denies("run +"+t.command, err)
		default:
			return nil, p.explain(strings.ToUpper(t.command), err)
		}
	}
	for i, c := range names {
		if deniesKey(c.Err()) {
			return nil, p.denies(fmt.Sprintf("touch names of %q", s.settings.Patterns[i]), c.Err())
		}
	}
	untested = []string{"restore"}
	if s.settings.FlushAll {
		untested = append(untested, "flushall")
	}
	return untested, nil
}

// deniesKey says that a user may run the command, and not on this name.
func deniesKey(err error) bool { return redis.IsPermissionError(err) && aboutKeys(err.Error()) }

// aboutKeys tells a refusal of names from one of a command, in the words of the
// servers from 6.0 on.
func aboutKeys(text string) bool {
	return strings.Contains(text, "access") && strings.Contains(text, "key")
}

// denies is the answer of a server that a right is missing.
func (p *primary) denies(what string, err error) error {
	return &runbook.Denied{Err: &serverError{p.addr, fmt.Sprintf("the user may not %s; the whole rule is printed by: jwksbot iam-policy", what), err}}
}

// sampleName makes a name that a pattern matches; 16 random bytes in the place of
// its first star see to it that it is nobody's, where it has one.
func sampleName(pattern string) string {
	before, after, free := strings.Cut(pattern, "*")
	if !free {
		return plainName(pattern)
	}
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return plainName(before) + "jwksbot-doctor-" + hex.EncodeToString(b) + plainName(after)
}

// plainName puts letters in the places of what a pattern leaves open.
func plainName(pattern string) string {
	var out strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
		case '?':
			out.WriteByte('x')
		case '\\':
			if i++; i < len(pattern) {
				out.WriteByte(pattern[i])
			}
		case '[':
			end := strings.IndexByte(pattern[i:], ']')
			if end < 2 {
				continue
			}
			class := pattern[i+1 : i+end]
			if class[0] == '^' {
				class = strings.Trim("0123456789", class) + "_"
			}
			out.WriteByte(class[0])
			i += end
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
