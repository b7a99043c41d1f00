package metrics

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"

	"fivetuple/bpf"
	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/plugins"
)

// fill gives each counter of a struct a value of its own, from 1000 up, and returns the values.
func fill(counters any, from uint64) (values []uint64) {
	v := reflect.ValueOf(counters).Elem()
	for i := range v.NumField() {
		from++
		switch f := v.Field(i); {
		case !v.Type().Field(i).IsExported():
			continue
		case f.Type() == reflect.TypeFor[atomic.Uint64]():
			f.Addr().Interface().(*atomic.Uint64).Store(from)
		case f.CanUint():
			f.SetUint(from)
		default:
			f.SetInt(int64(from))
		}
		values = append(values, from)
	}
	return values
}

// TestEveryCounterIsExported: each field of what is counted is the value of one line; a new one is not forgotten.
func TestEveryCounterIsExported(t *testing.T) {
	w := newWhole(t, 10)
	var want []uint64
	for i, counters := range []any{&w.stats, &w.counters, &w.cor, &w.log, &w.base, &w.board, &w.sources} {
		want = append(want, fill(counters, uint64(i+1)*1000)...)
	}
	text := scrape(t, w.Registry)
	for _, value := range want {
		if n := strings.Count(text, fmt.Sprintf(" %d\n", value)); n != 1 {
			t.Errorf("the value %d is in %d lines", value, n)
		}
	}
	if len(want) < 25 {
		t.Errorf("only %d counters", len(want))
	}
	for _, line := range []string{
		fmt.Sprintf("fivetuple_server_calls_total %d", w.stats.Calls.Load()),
		fmt.Sprintf("fivetuple_server_tokens_not_found_total %d", w.stats.TokensNotFound.Load()),
		fmt.Sprintf(`fivetuple_plugin_tuples_total{source="map-variable"} %d`, w.counters.TupleMapVariable.Load()),
		fmt.Sprintf(`fivetuple_plugin_tuples_wrong_total{source="header"} %d`, w.counters.WrongHeader.Load()),
		fmt.Sprintf("fivetuple_call_records_cut_total %d", w.cor.Cut),
		fmt.Sprintf(`fivetuple_queue_dropped_total{queue="log"} %d`, w.log.Dropped),
		fmt.Sprintf("fivetuple_log_lines_failed_total %d", w.log.Failed),
		`fivetuple_queue_dropped_total{queue="metrics"} 7`,
		`fivetuple_queue_records{queue="metrics"} 8`,
		`fivetuple_build_info{layout="0123",version="v1"} 1`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
}

func TestLookups(t *testing.T) {
	w := newWhole(t, 10)
	for i, want := range lookupErrors() {
		for range i + 1 {
			wrapped := w.lookups.Lookup(flow.Key{LocalPort: uint16(i)}, nil)
			if !errors.Is(wrapped, want) {
				t.Errorf("%v, want %v", wrapped, want)
			}
		}
	}
	text := scrape(t, w.Registry)
	for i, result := range []string{"found", "not-found", "no-table", "layout", "stale", "busy", "failed"} {
		if want := fmt.Sprintf("\nfivetuple_lookups_total{result=%q} %d\n", result, i+1); !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	record := new(flow.Record)
	if n := testing.AllocsPerRun(100, func() { _ = w.lookups.Lookup(flow.Key{}, record) }); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

func TestTables(t *testing.T) {
	w := newWhole(t, 10)
	w.tables.Meta = flow.Meta{
		Interfaces: 3, Loopback: 1,
		Heartbeat: 11_000_000_000, Evicted: [flow.Tables]uint64{flow.TableUDP: 3}, Entries: [flow.Tables]uint32{flow.TableFlows: 4},
		Capacity: [flow.Tables]uint32{flow.TableFlows: 5},
	}
	w.tables.Tables[flow.TableHoles] = flow.TableCounts{Inserted: 6, Refused: 7, Removed: 8}
	w.tables.Reasons[flow.TX][bpf.TableFull] = 9
	w.tables.Reasons[flow.RX][bpf.IPLaterFragment] = 10
	text := scrape(t, w.Registry)
	for _, want := range []string{
		"fivetuple_tables_readable 1", "fivetuple_agent_heartbeat_age_seconds 1.5",
		`fivetuple_agent_interfaces{kind="loopback"} 1`, `fivetuple_agent_interfaces{kind="other"} 2`,
		`fivetuple_table_evicted_total{table="udp"} 3`, `fivetuple_table_entries{table="flows"} 4`,
		`fivetuple_table_capacity_entries{table="flows"} 5`, `fivetuple_table_inserted_total{table="holes"} 6`,
		`fivetuple_table_refused_total{table="holes"} 7`, `fivetuple_table_removed_total{table="holes"} 8`,
		`fivetuple_packets_total{direction="tx",reason="table-full"} 9`,
		`fivetuple_packets_total{direction="rx",reason="ip-later-fragment"} 10`,
		`fivetuple_packets_total{direction="tx",reason="contended"} 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	w.err = flow.ErrNoTable
	text = scrape(t, w.Registry)
	if !strings.Contains(text, "\nfivetuple_tables_readable 0\n") || strings.Contains(text, "fivetuple_table_") || strings.Contains(text, "fivetuple_packets") {
		t.Error("without tables something is said of them")
	}
}

// TestGuard: the answers of packet-guard by route.
func TestGuard(t *testing.T) {
	w := newWhole(t, 10)
	p := plugins.NewPacketGuard(plugins.Deps{Counters: &w.counters, Tuple: correlator.TupleHeader})
	conf, _ := p.ParseConf([]byte(`{"mode":"kill"}`)) // under which every call passes
	for range 3 {
		p.RequestFilter(conf, nil, &routedRequest{})
	}
	text := scrape(t, w.Registry)
	for _, want := range []string{
		`fivetuple_guard_calls_total{answer="passed",route="orders"} 3`, `fivetuple_guard_calls_total{answer="refused",route="orders"} 0`,
		`fivetuple_guard_calls_total{answer="observed",route="orders"} 0`, `fivetuple_guard_calls_total{answer="exempt",route="orders"} 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
}

// routedRequest is a call of a route, without a header.
type routedRequest struct{ pkghttp.Request }

func (*routedRequest) Route() correlator.Route           { return correlator.Route{Route: "orders"} }
func (r *routedRequest) Header() pkghttp.Header          { return r }
func (*routedRequest) All(func(name, value []byte) bool) {}
func (*routedRequest) View() http.Header                 { return nil }
func (*routedRequest) Get(string) string                 { return "" }
func (*routedRequest) Set(string, string)                {}
func (*routedRequest) Del(string)                        {}
