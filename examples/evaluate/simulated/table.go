package simulated

// table is a hash table that is read in slices.
type table[K comparable, V any] struct {
	at     map[K]int
	keys   []K
	values []*V
	cursor int
}

func newTable[K comparable, V any]() table[K, V] { return table[K, V]{at: map[K]int{}} }

func (t *table[K, V]) get(k K) *V {
	if i, ok := t.at[k]; ok {
		return t.values[i]
	}
	return nil
}

// put sets an entry, and returns whether there was one.
func (t *table[K, V]) put(k K, v *V) (replaced bool) {
	if i, ok := t.at[k]; ok {
		t.values[i] = v
		return true
	}
	t.at[k] = len(t.keys)
	t.keys, t.values = append(t.keys, k), append(t.values, v)
	return false
}

// sweep removes entries, and returns how many.
func (t *table[K, V]) sweep(goes func(*V) bool) (removed uint64) {
	for i := len(t.keys) - 1; i >= 0; i-- { //nolint:modernize // it removes while it goes
		if !goes(t.values[i]) {
			continue
		}
		t.remove(t.keys[i])
		removed++
	}
	return removed
}

// remove removes an entry, if it is there.
func (t *table[K, V]) remove(k K) bool {
	i, ok := t.at[k]
	if !ok {
		return false
	}
	last := len(t.keys) - 1
	delete(t.at, k)
	if i != last {
		t.keys[i], t.values[i] = t.keys[last], t.values[last]
		t.at[t.keys[i]] = i
	}
	t.values[last] = nil
	t.keys, t.values = t.keys[:last], t.values[:last]
	return true
}

// read calls take for the next entries, and returns whether it came to the end.
func (t *table[K, V]) read(limit int, take func(K, *V)) bool {
	for ; limit > 0 && t.cursor < len(t.keys); limit-- {
		take(t.keys[t.cursor], t.values[t.cursor])
		t.cursor++
	}
	if t.cursor < len(t.keys) {
		return false
	}
	t.cursor = 0
	return true
}
