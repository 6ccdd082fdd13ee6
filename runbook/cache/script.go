package cache

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"jwksbot/runbook"
)

// luaContent defines content(key, type): the members of a value, and the
// digest of them that contentDigest computes here. Each member is hashed
// before sorting, because Lua compares strings by the server's locale.
// luaDump defines dump(key, type): "" for a type that the server cannot
// serialise, as the demo's in-process server for all but strings.
const (
	luaContent = `
local function members(key, t)
  if t == 'string' then return {redis.call('GET', key)} end
  if t == 'hash' then return redis.call('HGETALL', key) end
  if t == 'set' then return redis.call('SMEMBERS', key) end
  if t == 'zset' then return redis.call('ZRANGE', key, 0, -1) end
  if t == 'list' then return redis.call('LRANGE', key, 0, -1) end
  return {}
end
local function size(key, t)
  if t == 'string' then return redis.call('STRLEN', key) end
  if t == 'hash' then return redis.call('HLEN', key) end
  if t == 'set' then return redis.call('SCARD', key) end
  if t == 'zset' then return redis.call('ZCARD', key) end
  if t == 'list' then return redis.call('LLEN', key) end
  return 0
end
`
	// luaWeight defines weight(key, type, size): about how many bytes a value is,
	// 0 where the server does not say (a serverless cache does not). ARGV[1] is
	// the number of members up to which all of them are looked at.
	luaWeight = `
local function weight(key, t, n)
  if t == 'string' then return n end
  local m
  if n <= tonumber(ARGV[1]) then
    m = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', '0')
  else
    m = redis.pcall('MEMORY', 'USAGE', key)
  end
  if type(m) == 'number' then return m end
  return 0
end
`
	luaDump = `
local function dump(key, t)
  local d = redis.pcall('DUMP', key)
  if type(d) == 'table' and d.err then
    if t ~= 'string' and string.find(d.err, 'WRONGTYPE') then return '' end
    return d
  end
  return d
end
`
	// weighScript answers {type, size, weight}.
	weighScript = luaContent + luaWeight + `
local key = KEYS[1]
local t = redis.call('TYPE', key).ok
if t == 'none' then return {} end
local n = size(key, t)
return {t, n, weight(key, t, n)}
`
	// saveScript answers {type, pttl, payload, size, weight, members}. ARGV: the
	// most members, the longest string and the largest collection that are sent
	// beside the payload, and the most bytes that have a payload at all: a value
	// that has grown meanwhile is answered without.
	saveScript = luaContent + luaWeight + luaDump + `
local key = KEYS[1]
local t = redis.call('TYPE', key).ok
if t == 'none' then return {} end
local n = size(key, t)
local w = weight(key, t, n)
local pttl = redis.call('PTTL', key)
if w > tonumber(ARGV[4]) then return {t, pttl, false, n, w, {}} end
local d = dump(key, t)
if type(d) == 'table' then return d end
local m = {}
if t == 'string' and n <= tonumber(ARGV[2]) or t ~= 'string' and n <= tonumber(ARGV[1]) and w <= tonumber(ARGV[3]) then
  m = members(key, t)
end
return {t, pttl, d, n, w, m}
`
	// judgeScript answers the fate of an entry. ARGV: SHA-1 of the payload or
	// "", digest of the content or "", type or "", "delete" or "keep", the most
	// members that are compared, the size or "". A value of another size is not
	// looked at.
	judgeScript = luaContent + luaDump + `
local key = KEYS[1]
local t = redis.call('TYPE', key).ok
if t == 'none' then return 'gone' end
if ARGV[3] ~= '' and t ~= ARGV[3] then return 'rewritten' end
if ARGV[6] ~= '' and size(key, t) ~= tonumber(ARGV[6]) then return 'rewritten' end
local same = false
if ARGV[1] ~= '' then
  local d = dump(key, t)
  if type(d) == 'table' then return d end
  same = d ~= '' and redis.sha1hex(d) == ARGV[1]
end
if not same and ARGV[2] ~= '' and (t == 'string' or size(key, t) <= tonumber(ARGV[5])) then
  local m = members(key, t)
  local step = 1
  if t == 'hash' then step = 2 end
  local sums = {}
  for i = 1, #m, step do
    local f, v = '', m[i]
    if step == 2 then f, v = m[i], m[i + 1] end
    sums[#sums + 1] = redis.sha1hex(#f .. ':' .. f .. #v .. ':' .. v)
  end
  if t == 'hash' or t == 'set' then table.sort(sums) end
  same = redis.sha1hex(table.concat(sums)) == ARGV[2]
end
if not same then return 'rewritten' end
if ARGV[4] ~= 'delete' then return 'left' end
redis.call('UNLINK', key)
return 'deleted'
`
)

// script is a Lua script on a single key.
type script struct{ text, sha string }

func newScript(text string) script { return script{text, sha1hex([]byte(text))} }

var (
	weigh = newScript(weighScript)
	save  = newScript(saveScript)
	judge = newScript(judgeScript)
)

func sha1hex(b []byte) string {
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}

// call is one run of a script: a key, and its arguments when it is sent.
type call struct {
	index int // the caller's
	key   string
	args  func(index int) []any
}

// constantly gives every call the same arguments.
func constantly(args ...any) func(int) []any { return func(int) []any { return args } }

// batchOf is how many calls go into one round trip.
const batchOf = 500

// runScript runs a batch in one round trip. The first call carries the text,
// which the server then keeps, so that the others need its digest only and no
// right to load scripts. The answers are in the order of the calls; with an
// error some of them are errors too.
func runScript(ctx context.Context, f *fleet, p *primary, sc script, calls []call) ([]*redis.Cmd, error) {
	pipe := p.client.Pipeline()
	hello := askHello(ctx, pipe)
	cmds := make([]*redis.Cmd, len(calls))
	for i, c := range calls {
		if i == 0 {
			cmds[i] = pipe.Eval(ctx, sc.text, []string{c.key}, c.args(c.index)...)
		} else {
			cmds[i] = pipe.EvalSha(ctx, sc.sha, []string{c.key}, c.args(c.index)...)
		}
	}
	exec(ctx, pipe)
	failed := p.watchRole(hello)
	for i, cmd := range cmds {
		switch addr, ask := redis.IsAskError(cmd.Err()); {
		case ask:
			cmds[i] = f.ask(ctx, addr, sc, calls[i])
		case redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT"):
			// Somebody flushed the scripts in between, or the first call was
			// redirected.
			cmds[i] = p.client.Eval(ctx, sc.text, []string{calls[i].key}, calls[i].args(calls[i].index)...)
		}
		if err := cmds[i].Err(); err != nil && failed == nil {
			failed = p.explain("EVAL", err)
		}
	}
	return cmds, failed
}

// ask runs a call on the server that a slot is being moved to.
func (f *fleet) ask(ctx context.Context, addr string, sc script, c call) *redis.Cmd {
	pipe := f.at(addr).client.Pipeline()
	pipe.Do(ctx, "asking")
	cmd := pipe.Eval(ctx, sc.text, []string{c.key}, c.args(c.index)...)
	exec(ctx, pipe)
	return cmd
}

// eachBatch routes calls to their primaries and runs them in batches, the
// primaries at once. before, which may be nil, is called ahead of each batch, and
// done gets its calls and answers, both one at a time.
func (f *fleet) eachBatch(ctx context.Context, sc script, calls []call, before func() error, done func(p *primary, calls []call, answers []*redis.Cmd) error) error {
	routed := map[*primary][]call{}
	for _, c := range calls {
		p, err := f.of(c.key)
		if err != nil {
			return err
		}
		routed[p] = append(routed[p], c)
	}
	var turn sync.Mutex
	inTurn := func(fn func() error) error {
		turn.Lock()
		defer turn.Unlock()
		return fn()
	}
	g, ctx := errgroup.WithContext(ctx)
	denied := make([]error, len(routed)) // see fleet.effect
	place := 0
	for p, calls := range routed {
		at := place
		place++
		g.Go(func() error {
			err := f.batches(ctx, p, sc, calls, inTurn, before, done)
			if runbook.IsDenied(err) {
				denied[at], err = err, nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return cmp.Or(denied...)
}

// batches runs the calls of one primary.
func (f *fleet) batches(ctx context.Context, p *primary, sc script, calls []call, inTurn func(func() error) error, before func() error, done func(p *primary, calls []call, answers []*redis.Cmd) error) error {
	for len(calls) > 0 {
		batch := calls[:min(len(calls), batchOf)]
		calls = calls[len(batch):]
		if before != nil {
			if err := inTurn(before); err != nil {
				return err
			}
		}
		answers, failed := runScript(ctx, f, p, sc, batch)
		if failed != nil {
			batch, answers = effects(batch, answers)
		}
		told := inTurn(func() error { return done(p, batch, answers) })
		if err := errors.Join(failed, told); err != nil {
			return err
		}
	}
	return nil
}

// effects keeps the answers that report a deletion. When a batch fails in the
// middle, those are certain; what else it answered may come from a server that
// has just lost its role, and is asked again.
func effects(calls []call, answers []*redis.Cmd) ([]call, []*redis.Cmd) {
	var c []call
	var a []*redis.Cmd
	for i, cmd := range answers {
		if text, err := cmd.Text(); err == nil && text == string(runbook.FateDeleted) {
			c, a = append(c, calls[i]), append(a, cmd)
		}
	}
	return c, a
}

// judgeArgs are the script's arguments for one saved entry.
func judgeArgs(e runbook.Saved, action string) []any {
	payload, content := "", ""
	if sum := payloadSum(e); sum != (runbook.Sum{}) {
		payload = hex.EncodeToString(sum[:])
	}
	if payload == "" || len(e.Value) > 0 || len(e.Parts) > 0 { // else the value was not kept beside the payload
		content = contentDigest(e.RawEntry)
	}
	return []any{payload, content, e.Type, action, strconv.Itoa(maxParts), sizeOf(e.RawEntry)}
}

func payloadSum(e runbook.Saved) runbook.Sum {
	if len(e.Payload) > 0 {
		return runbook.SumOf(e.Payload)
	}
	return e.Sum
}

// judgeable says that there is something to compare an entry with.
func judgeable(e runbook.Saved) error {
	if len(e.Payload) == 0 && e.Sum == (runbook.Sum{}) && contentDigest(e.RawEntry) == "" {
		return fmt.Errorf("cache: entry %q: its snapshot holds neither payload nor value, so that nothing can be compared: take a new snapshot", e.Name)
	}
	return nil
}

// sizeOf is what the server says is the size of a value, "" when it is not
// known.
func sizeOf(e runbook.RawEntry) string {
	switch {
	case e.Type == "string" && len(e.Value) == e.Bytes:
		return strconv.Itoa(e.Bytes)
	case len(e.Parts) > 0:
		return strconv.Itoa(len(e.Parts))
	}
	return ""
}

// contentDigest identifies the members of a value, independent of the order
// in which a server keeps a hash or a set. "" when they were not all read.
func contentDigest(e runbook.RawEntry) string {
	parts := e.Parts
	if e.Type == "string" {
		if len(e.Value) != e.Bytes {
			return ""
		}
		parts = []runbook.RawPart{{Value: e.Value}}
	}
	if len(parts) == 0 || len(parts) > maxParts {
		return ""
	}
	sums := make([]string, len(parts))
	for i, p := range parts {
		sums[i] = sha1hex(fmt.Appendf(nil, "%d:%s%d:%s", len(p.Field), p.Field, len(p.Value), p.Value))
	}
	if e.Type == "hash" || e.Type == "set" {
		sort.Strings(sums)
	}
	h := sha1.New()
	for _, s := range sums {
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// errAnswer is an answer that the scripts above cannot give.
var errAnswer = errors.New("unexpected answer of a script")
