package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
)

// print prints the tables: figures, then all that differs.
func (r *result) print(out io.Writer) error {
	w := &printer{to: out}
	w.printf("%d captures, %d packets, %d accepted by the kernel, %d with a reason\n", r.captures, r.frames, r.accepted, r.left)
	w.printf("%d flows compared, %d left out because the oracle is not certain of them\n\n", r.flows, r.uncertain)
	w.table("figure\tequal / compared\t", func() {
		for _, row := range r.rows() {
			w.printf("%s\t%d / %d\t%s\n", row.Figure, row.Equal, row.Compared, row.percent())
		}
	})
	if len(r.faults) > 0 {
		w.printf("\n")
		w.table("capture\tpacket\tfault", func() {
			for _, f := range r.faults {
				w.printf("%s\t%s\t%s\n", f.Capture, f.packet(), f.Fault)
			}
		})
	}
	if len(r.differences) > 0 {
		w.printf("\n")
		w.table("capture\tflow\tfigure\t\treplay\toracle", func() {
			for _, d := range r.differences {
				w.printf("%s\t%s\t%s\t%s\t%s\t%s\n", d.Capture, d.Flow, d.Figure, d.Direction, d.Replay, d.Oracle)
			}
		})
	}
	return w.err
}

func (r *result) printJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(map[string]any{
		"captures": r.captures, "packets": r.frames, "accepted": r.accepted, "with_reason": r.left,
		"flows": r.flows, "flows_left_out": r.uncertain, "equal": r.equal(),
		"figures": r.rows(), "faults": notNull(r.faults), "differences": notNull(r.differences),
	})
}

// notNull returns an empty list where there is none.
func notNull[T any](list []T) []T { return append([]T{}, list...) }

// row is a figure of the table.
type row struct {
	Figure   string `json:"figure"`
	Equal    int    `json:"equal"`
	Compared int    `json:"compared"`
}

func (r *result) rows() []row {
	flow := r.tallies[figureFlow]
	rows := []row{{figureFlow, flow.equal, flow.compared}}
	for _, f := range figures() {
		t := r.tallies[f.name]
		rows = append(rows, row{f.name, t.equal, t.compared})
	}
	return rows
}

// percent never rounds up to 100.
func (r row) percent() string {
	if r.Compared == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f %%", float64(r.Equal*100_000/r.Compared)/1000)
}

func (f fault) packet() string {
	if f.Packet == 0 {
		return ""
	}
	return fmt.Sprint(f.Packet)
}

// printer remembers the first error.
type printer struct {
	to  io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	_, err := fmt.Fprintf(p.to, format, args...)
	p.err = errors.Join(p.err, err)
}

// table aligns the columns of what rows prints.
func (p *printer) table(head string, rows func()) {
	out := p.to
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	p.to = w
	p.printf("%s\n", head)
	rows()
	p.err = errors.Join(p.err, w.Flush())
	p.to = out
}
