package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fivetuple/correlator/flow"
)

// TestReaderCounts holds what a reader is told against what the tables' owner reads.
func TestReaderCounts(t *testing.T) {
	p := newPublished(t)
	p.open(peerISN, hostISN)
	p.want(RecordedUDP, flow.RX, p.tuple.udp(flow.RX, "?"))
	got, err := newTestReader(t, p.pins).Counts()
	must(t, err)
	reasons, err := readReasons(p.Reasons)
	must(t, err)
	if got.Reasons != reasons || reasons[flow.RX][RecordedUDP] != 1 || reasons[flow.TX][RecordedHalfOpen] == 0 {
		t.Errorf("reasons %v, want %v", got.Reasons, reasons)
	}
	tables, err := readTableCounts(p.Counts)
	must(t, err)
	if got.Tables != tables || tables[flow.TableFlows].Inserted != 1 || tables[flow.TableUDP].Inserted != 1 {
		t.Errorf("tables %+v, want %+v", got.Tables, tables)
	}
	if want := testOptions().Tables.capacities(); got.Meta.Capacity != want {
		t.Errorf("capacities %v, want %v", got.Meta.Capacity, want)
	}
}

// TestReaderCountsNeedNothingOfLookUps, nor these of them.
func TestReaderCountsNeedNothingOfLookUps(t *testing.T) {
	p := newPublished(t)
	p.open(peerISN, hostISN)
	r := newTestReader(t, p.pins)
	must(t, os.Remove(filepath.Join(tablesDir(t, p.pins), fivetupleMapReasons)))
	if c, err := r.Counts(); !errors.Is(err, flow.ErrNoTable) || c != (Counts{}) {
		t.Errorf("without a pin: %v", err)
	}
	lookUp(t, r, p.tuple.key(flow.TCP))
}

func TestReaderCountsWithoutTables(t *testing.T) {
	if _, err := newTestReader(t, t.TempDir()).Counts(); !errors.Is(err, flow.ErrNoTable) {
		t.Errorf("got %v", err)
	}
}
