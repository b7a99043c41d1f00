package metrics

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/correlator/store"
)

// TestEveryCountOfRedisIsExported: each field moves a line of its own, but for what is text.
func TestEveryCountOfRedisIsExported(t *testing.T) {
	var counts store.Counts
	registry := prometheus.NewPedanticRegistry()
	RegisterRedis(registry, func() store.Counts { return counts })
	before := scrape(t, registry)
	seen := map[string]string{}
	moves := func(name string, set func(v reflect.Value)) {
		counts = store.Counts{}
		set(reflect.ValueOf(&counts).Elem())
		var moved []string
		for line := range strings.Lines(scrape(t, registry)) {
			if !strings.Contains(before, line) {
				moved = append(moved, line)
			}
		}
		if len(moved) != 1 {
			t.Errorf("%s moves %q", name, moved)
			return
		}
		if was := seen[moved[0]]; was != "" {
			t.Errorf("%s and %s both move %s", was, name, moved[0])
		}
		seen[moved[0]] = name
	}
	all := reflect.TypeFor[store.Counts]()
	for i := range all.NumField() {
		field := all.Field(i)
		switch value := reflect.New(field.Type).Elem(); {
		case field.Type == reflect.TypeFor[string]() || field.Type == reflect.TypeFor[time.Time]():
		case field.Type.Kind() == reflect.Array:
			for at := range value.Len() {
				moves(field.Name, func(v reflect.Value) { v.Field(i).Index(at).SetUint(uint64(7)) })
			}
		case field.Type.Kind() == reflect.Bool:
			moves(field.Name, func(v reflect.Value) { v.Field(i).SetBool(true) })
		case value.CanUint():
			moves(field.Name, func(v reflect.Value) { v.Field(i).SetUint(7) })
		default:
			moves(field.Name, func(v reflect.Value) { v.Field(i).SetInt(7e9) })
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d", len(seen))
	}
}
