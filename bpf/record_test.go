package bpf

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"fivetuple/correlator/flow"
)

func types(t *testing.T) *btf.Spec {
	t.Helper()
	spec, err := loadFivetuple()
	must(t, err)
	return spec.Types
}

// plain maps names of both languages to one: letters and digits, small.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

func TestRecordLayout(t *testing.T) {
	for name, twin := range map[string]any{
		"flow_key": flow.Key{}, "holes": flow.Holes{}, "source": flow.Source{}, "table_counts": flow.TableCounts{}, "flow_record": flow.Record{}, "conn": flow.Conn{}, "handshake": flow.Handshake{}, "other_syn": flow.OtherSYN{}, "meta": flow.Meta{},
		"verdict_key": flow.VerdictKey{}, "verdict": flow.Verdict{}, "direction": flow.Direction{}, "exchange": flow.Exchange{}, "round_trip": flow.RoundTrip{},
		"reading": reading{},
	} {
		t.Run(name, func(t *testing.T) {
			var kernel *btf.Struct
			must(t, types(t).TypeByName(name, &kernel))
			compareTypes(t, name, kernel, reflect.TypeOf(twin))
		})
	}
}

// compareTypes checks sizes, and the names, offsets and types of all fields, also of those nested.
func compareTypes(t *testing.T, path string, kernel btf.Type, twin reflect.Type) {
	t.Helper()
	kernel = btf.UnderlyingType(kernel)
	size, err := btf.Sizeof(kernel)
	must(t, err)
	if uintptr(size) != twin.Size() {
		t.Errorf("%s has %d bytes in the kernel and %d in Go", path, size, twin.Size())
	}
	switch kernel := kernel.(type) {
	case *btf.Struct:
		compareFields(t, path, kernel, twin)
	case *btf.Array:
		if twin.Kind() != reflect.Array || twin.Len() != int(kernel.Nelems) {
			t.Errorf("%s is [%d] in the kernel and %v in Go", path, kernel.Nelems, twin)
			return
		}
		compareTypes(t, path+"[]", kernel.Type, twin.Elem())
	case *btf.Int:
		if signed := kernel.Encoding == btf.Signed; signed || twin.Kind() < reflect.Uint8 || twin.Kind() > reflect.Uint64 {
			t.Errorf("%s is %v in the kernel and %v in Go", path, kernel, twin)
		}
	default:
		t.Errorf("%s is %v: not a type of a record", path, kernel)
	}
}

func compareFields(t *testing.T, path string, kernel *btf.Struct, twin reflect.Type) {
	t.Helper()
	if twin.Kind() != reflect.Struct || twin.NumField() != len(kernel.Members) {
		t.Errorf("%s has %d fields in the kernel, Go has %v", path, len(kernel.Members), twin)
		return
	}
	for i, member := range kernel.Members {
		field := twin.Field(i)
		at := path + "." + member.Name
		if plain(member.Name) != plain(field.Name) {
			t.Errorf("%s is called %s in Go", at, field.Name)
		}
		if uintptr(member.Offset.Bytes()) != field.Offset || member.BitfieldSize != 0 {
			t.Errorf("%s lies at %d in the kernel and at %d in Go", at, member.Offset.Bytes(), field.Offset)
		}
		compareTypes(t, at, member.Type, field.Type)
	}
}

func TestExchangesInRing(t *testing.T) {
	var record *btf.Struct
	must(t, types(t).TypeByName("flow_record", &record))
	ring := record.Members[len(record.Members)-1]
	if n := ring.Type.(*btf.Array).Nelems; ring.Name != "ring" || n != flow.Exchanges {
		t.Errorf("%s holds %d exchanges, flow.Exchanges is %d", ring.Name, n, flow.Exchanges)
	}
}

// enums returns the constants of record.h by enum: its name, or that of its first constant. They are read from the
// source, because clang keeps no enum that is not a field's type.
func enums(t *testing.T) map[string][]constant {
	t.Helper()
	header, err := os.ReadFile("record.h")
	must(t, err)
	header = regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAll(header, nil)
	found := make(map[string][]constant)
	for _, m := range regexp.MustCompile(`(?s)enum (\w*) ?\{(.*?)\};`).FindAllStringSubmatch(string(header), -1) {
		var constants []constant
		for _, c := range regexp.MustCompile(`(\w+)(?: = 1 << (\d))?,?`).FindAllStringSubmatch(m[2], -1) {
			value := uint64(len(constants))
			if c[2] != "" {
				value = 1 << (c[2][0] - '0')
			}
			constants = append(constants, constant{c[1], value})
		}
		name := m[1]
		if name == "" {
			name = constants[0].name
		}
		found[name] = constants
	}
	return found
}

type constant struct {
	name  string
	value uint64
}

func TestReasonsAreTheKernels(t *testing.T) {
	reasons := enums(t)["reason"]
	if len(reasons) != int(reasonCount)+1 || reasons[reasonCount].name != "REASONS" {
		t.Fatalf("the kernel has the reasons %v, Go has %d", reasons, reasonCount)
	}
	for i, c := range reasons[:reasonCount] {
		name := strings.ReplaceAll(strings.ToLower(c.name), "_", "-")
		if c.value != uint64(i) || Reason(i).String() != name {
			t.Errorf("reason %d is %v in the kernel, and %v in Go", i, c, Reason(i))
		}
	}
}

func TestReasonsFillTheTable(t *testing.T) {
	spec, err := loadFivetuple()
	must(t, err)
	if n := spec.Maps[fivetupleMapReasons].MaxEntries; n != 2*uint32(reasonCount) {
		t.Errorf("the table of reasons has %d entries, want %d", n, 2*reasonCount)
	}
}

func TestReasonOutOfRange(t *testing.T) {
	if got, want := reasonCount.String(), fmt.Sprintf("reason-%d", uint32(reasonCount)); got != want {
		t.Errorf("got %q", got)
	}
}

// Bits of Direction.SYNOptions.
const (
	synMSS        = 1 << 0
	synWscale     = 1 << 1
	synSACK       = 1 << 2
	synTimestamps = 1 << 3
)

func TestConstantsAreTheKernels(t *testing.T) {
	want := map[string][]constant{
		"RX": {{"RX", flow.RX}, {"TX", flow.TX}, {"DIRECTIONS", 2}},
		"STATE_HALF_OPEN": {
			{"STATE_HALF_OPEN", uint64(flow.StateHalfOpen)},
			{"STATE_OPEN", uint64(flow.StateOpen)},
			{"STATE_CLOSED", uint64(flow.StateClosed)},
			{"STATE_PROMOTED", uint64(flow.StatePromoted)},
		},
		"ORIGIN_HANDSHAKE": {
			{"ORIGIN_HANDSHAKE", uint64(flow.OriginHandshake)}, {"ORIGIN_MIDSTREAM", uint64(flow.OriginMidstream)},
		},
		"KNOWN_ISN": {
			{"KNOWN_ISN", flow.KnownISN},
			{"KNOWN_SEQ", flow.KnownSeq},
			{"KNOWN_ACK", flow.KnownAck},
			{"KNOWN_OPENER", flow.KnownOpener},
			{"KNOWN_ACKED_ISN", flow.KnownAckedISN},
			{"KNOWN_KIND", flow.KnownKind},
			{"KNOWN_LACKING", flow.KnownLacking},
		},
		"SYN_MSS": {
			{"SYN_MSS", synMSS}, {"SYN_WSCALE", synWscale}, {"SYN_SACK", synSACK}, {"SYN_TIMESTAMPS", synTimestamps},
		},
	}
	want["payload"] = []constant{
		{"PAYLOAD_NONE", uint64(flow.PayloadNone)},
		{"PAYLOAD_OTHER", uint64(flow.PayloadOther)},
		{"PAYLOAD_HTTP1", uint64(flow.PayloadHTTP1)},
		{"PAYLOAD_HTTP2", uint64(flow.PayloadHTTP2)},
		{"PAYLOAD_TLS", uint64(flow.PayloadTLS)},
		{"PAYLOAD_PROXY_V1", uint64(flow.PayloadProxyV1)},
		{"PAYLOAD_PROXY_V2", uint64(flow.PayloadProxyV2)},
		{"PAYLOAD_METHOD", uint64(flow.PayloadMethod)},
		{"PAYLOAD_SWITCHED", uint64(flow.PayloadSwitched)},
	}
	want["VERDICT_SOURCE"] = []constant{{"VERDICT_SOURCE", flow.VerdictSource}, {"VERDICT_LISTENER", flow.VerdictListener}}
	want["ORIGIN_WATCHER"] = []constant{
		{"ORIGIN_WATCHER", flow.OriginWatcher}, {"ORIGIN_MANUAL", flow.OriginManual}, {"ORIGIN_FLEET", flow.OriginFleet},
	}
	want["table"] = []constant{{"TABLES", flow.Tables}}
	for table := flow.Tables - 1; table >= 0; table-- {
		name := "TABLE_" + strings.ToUpper(flow.TableName(table))
		want["table"] = append([]constant{{name, uint64(table)}}, want["table"]...)
	}
	got := enums(t)
	delete(got, "reason")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the kernel has %v, want %v", got, want)
	}
}

func TestLayoutIsStable(t *testing.T) {
	first, err := Layout()
	must(t, err)
	again, err := Layout()
	must(t, err)
	if first == 0 || first != again {
		t.Errorf("got %x and %x", first, again)
	}
}
