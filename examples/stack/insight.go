package stack

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/dunglas/httpsfv"
)

// Insight is what packet-insight put on a call, read back from the headers.
type Insight struct {
	Match   string `json:"match"`
	Number  int64  `json:"n,omitempty"`
	Partial bool   `json:"partial,omitempty"`
	TLS     bool   `json:"tls,omitempty"`
	Missed  int64  `json:"missed,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Headers string `json:"headers,omitempty"`
	Latency int64  `json:"latency_us,omitempty"` // 0: unknown
	Recv    int64  `json:"recv_us,omitempty"`
	Wait    int64  `json:"wait_us,omitempty"`
	Size    int64  `json:"size,omitempty"`
	Packets int64  `json:"packets,omitempty"`
	Payload int64  `json:"payload,omitempty"`
	Flow    string `json:"flow,omitempty"`
	// Score is that of what is not normal, Signals name it; Learning: there is no baseline yet.
	Score    float64 `json:"score,omitempty"`
	Signals  string  `json:"signals,omitempty"`
	Learning bool    `json:"learning,omitempty"`
	HasSize  bool    `json:"-"`
	MatchRaw string  `json:"-"`
}

// ErrInsight means that a call did not have the headers it should have, or not in their form.
var ErrInsight = errors.New("not what packet-insight writes")

// ReadInsight reads the headers x-packet-* that a request, or a response, has.
func ReadInsight(h http.Header) (Insight, error) {
	var in Insight
	for name, take := range map[string]func(httpsfv.Item) error{
		"X-Packet-Match":   in.takeMatch,
		"X-Packet-Latency": in.takeLatency,
		"X-Packet-Size":    in.takeSize,
		"X-Packet-Anomaly": in.takeAnomaly,
		"X-Packet-Flow":    in.takeFlow,
	} {
		values := h.Values(name)
		if len(values) == 0 && name != "X-Packet-Match" {
			continue
		}
		if len(values) != 1 {
			return in, fmt.Errorf("%w: %d values of %s", ErrInsight, len(values), name)
		}
		item, err := httpsfv.UnmarshalItem(values)
		if err != nil {
			return in, fmt.Errorf("%w: %s: %q: %w", ErrInsight, name, values[0], err)
		}
		if err := take(item); err != nil {
			return in, fmt.Errorf("%w: %s: %q: %w", ErrInsight, name, values[0], err)
		}
	}
	in.MatchRaw = h.Get("X-Packet-Match")
	return in, nil
}

var errType = errors.New("a value of another type")

func (in *Insight) takeMatch(item httpsfv.Item) error {
	match, ok := item.Value.(httpsfv.Token)
	in.Match = string(match)
	in.Number = parameter[int64](item, "n")
	in.Partial = parameter[bool](item, "partial")
	in.TLS = parameter[bool](item, "tls")
	in.Missed = parameter[int64](item, "missed")
	in.Reason = string(parameter[httpsfv.Token](item, "reason"))
	in.Headers = string(parameter[httpsfv.Token](item, "headers"))
	return unless(ok)
}

func (in *Insight) takeLatency(item httpsfv.Item) error {
	latency, ok := item.Value.(int64)
	in.Latency = latency
	in.Recv = parameter[int64](item, "recv")
	in.Wait = parameter[int64](item, "wait")
	return unless(ok || item.Value == httpsfv.Token("unknown"))
}

func (in *Insight) takeSize(item httpsfv.Item) (err error) {
	in.Size, in.HasSize = item.Value.(int64)
	in.Packets = parameter[int64](item, "packets")
	in.Payload = parameter[int64](item, "payload")
	return unless(in.HasSize)
}

func (in *Insight) takeAnomaly(item httpsfv.Item) (err error) {
	score, ok := item.Value.(float64)
	in.Score = score
	in.Signals = parameter[string](item, "signals")
	in.Learning = parameter[httpsfv.Token](item, "baseline") == "learning"
	return unless(ok)
}

func (in *Insight) takeFlow(item httpsfv.Item) (err error) {
	flow, ok := item.Value.(string)
	in.Flow = flow
	return unless(ok)
}

func unless(ok bool) error {
	if !ok {
		return errType
	}
	return nil
}

// parameter returns a parameter of a type, or its zero value.
func parameter[T any](item httpsfv.Item, name string) T {
	value, _ := item.Params.Get(name)
	typed, _ := value.(T)
	return typed
}
