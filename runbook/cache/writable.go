package cache

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// unlinkName deletes what nobody has.
var unlinkName = newScript(`return redis.call('UNLINK', KEYS[1])`)

// probeNames is how many names are tried: enough to come by every primary of a
// usual cluster.
const probeNames = 32

// Writable asks whether a flush would be allowed, without changing anything:
// it deletes, by script as a flush does, names that match the patterns and that
// nobody has. The server judges the right to delete, the right to the names,
// and its own role, before it sees that there is nothing to delete. It returns
// how many primaries said yes.
func (s *Store) Writable(ctx context.Context) (primaries int, err error) {
	var calls []call
	for _, pattern := range s.settings.Patterns {
		for range probeNames {
			name, free, err := nobodysName(pattern)
			if err != nil {
				return 0, err
			}
			if free {
				calls = append(calls, call{index: len(calls), key: name})
			}
		}
	}
	seen := map[string]bool{}
	err = s.with(ctx, func(ctx context.Context, f *fleet) error {
		return f.eachBatch(ctx, unlinkName, calls, nil, func(p *primary, _ []call, _ []*redis.Cmd) error {
			seen[p.name] = true
			return nil
		})
	})
	if err != nil {
		return 0, fmt.Errorf("cache %q: a flush would fail: %w", s.name(), err)
	}
	return len(seen), nil
}

// nobodysName makes a name out of a pattern; 16 random bytes in the place of
// its star see to it that it is nobody's. free is false without a star.
func nobodysName(pattern string) (name string, free bool, err error) {
	before, after, free := strings.Cut(pattern, "*")
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", false, fmt.Errorf("cache: random name: %w", err)
	}
	return plainName(before) + "jwksbot-doctor-" + hex.EncodeToString(b) + plainName(after), free, nil
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
