package diagnose

// memoMost is how much is remembered of what was looked at last.
const memoMost = 256

// Memo remembers what was worked out for entries that say the same, so that it
// is neither worked out nor held again for each of them.
type Memo[K comparable, V any] map[K]V

// Remember returns what make made for the key before, or makes it.
func (m *Memo[K, V]) Remember(key K, make func() V) V {
	v, known := (*m)[key]
	if !known {
		v = make()
		m.Put(key, v)
	}
	return v
}

func (m *Memo[K, V]) Put(key K, v V) {
	if *m == nil || len(*m) >= memoMost {
		*m = Memo[K, V]{}
	}
	(*m)[key] = v
}
