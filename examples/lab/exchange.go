package lab

import "fmt"

// Exchange is a run of rx payload and the tx payload that answers it.
type Exchange struct {
	Number int // counted per flow; 0 is everything before the first rx payload, and may be empty
	Figures
	// RX and TX are the segments with payload as the wire carried them, in the order of the capture.
	RX, TX []Segment
}

// exchanges cuts one flow's payload into exchanges while its segments come in.
type exchanges struct {
	list     []Exchange // begins with exchange 0
	answered bool       // tx payload above the highest came since the last turn
}

// take files one wire segment that has payload; s.New must be set. A new exchange begins with the first rx
// payload of all, and then with each rx segment that brings new payload after tx payload that did the same.
func (e *exchanges) take(s Segment) {
	if s.RX && s.New && (e.answered || len(e.list) == 1) {
		e.list = append(e.list, Exchange{Number: len(e.list)})
		e.answered = false
	}
	x := &e.list[len(e.list)-1]
	if s.RX {
		x.RX = append(x.RX, s)
		x.addRX(s)
		return
	}
	x.TX = append(x.TX, s)
	x.addTX(s)
	e.answered = e.answered || s.New
}

// Newest stands for the last exchange of a flow where an exchange number is asked for.
const Newest = -1

// Exchanges returns the flow's exchanges by number; there is always exchange 0. The slice is the flow's own.
func (f *Flow) Exchanges() []Exchange { return f.exchanges.list }

// Between returns the figures of exchanges from..to (both counted, to may be Newest) as somebody saw them who
// had seen exactly the packets with Time <= asOf; math.MaxInt64 is the whole capture. RXGap is within an
// exchange, never between two. It fails when the flow has no such exchanges.
func (f *Flow) Between(from, to int, asOf int64) (Figures, error) {
	chosen, err := f.choose(from, to)
	if err != nil {
		return Figures{}, err
	}
	var sum Figures
	for _, x := range chosen {
		var seen Figures
		for _, s := range x.RX {
			if s.Time <= asOf {
				seen.addRX(s)
			}
		}
		for _, s := range x.TX {
			if s.Time <= asOf {
				seen.addTX(s)
			}
		}
		sum.join(seen)
	}
	return sum, nil
}

// FirstRX returns the IP bytes of the first so many rx segments with payload of exchanges from..to (both
// counted, to may be Newest). It fails when the flow has no such exchanges, or they have fewer segments.
func (f *Flow) FirstRX(from, to int, packets int) (uint64, error) {
	chosen, err := f.choose(from, to)
	if err != nil {
		return 0, err
	}
	var sum uint64
	left := packets
	for _, x := range chosen {
		for _, s := range x.RX[:min(max(left, 0), len(x.RX))] {
			sum += uint64(s.IPBytes)
			left--
		}
	}
	if left != 0 {
		return 0, fmt.Errorf("sum first %d rx segments of exchanges %d..%d: there are %d", packets, from, to, packets-left)
	}
	return sum, nil
}

func (f *Flow) choose(from, to int) ([]Exchange, error) {
	list := f.exchanges.list
	last := to
	if to == Newest {
		last = len(list) - 1
	}
	if from < 0 || from > last || last >= len(list) {
		return nil, fmt.Errorf("choose exchanges %d..%d: the flow has 0..%d", from, to, len(list)-1)
	}
	return list[from : last+1], nil
}
