package stack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// callEvery is the time between two calls of a connection, sideClients are connections to each stack.
const (
	callEvery   = 5 * time.Millisecond
	sideClients = 4
)

// sideBySide calls two stacks in turn, so that whatever else the machine does happens to both.
type sideBySide struct {
	t      *testing.T
	stacks [2]*stack.Stack

	mu     sync.Mutex
	took   [2][]time.Duration
	failed [2]int
	why    error
}

// during calls both while something happens, and returns how long their calls took, sorted, and how many failed.
func (s *sideBySide) during(ctx context.Context, happens func() error) (took [2][]time.Duration, failed [2]int) {
	s.t.Helper()
	s.took, s.failed, s.why = [2][]time.Duration{}, [2]int{}, nil
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for range sideClients {
		wg.Go(func() { s.call(ctx) })
	}
	if err := happens(); err != nil {
		s.t.Error(err)
	}
	stop()
	wg.Wait()
	if s.why != nil {
		s.t.Errorf("calls failed: %v, the first: %v", s.failed, s.why)
	}
	for i := range s.took {
		slices.Sort(s.took[i])
	}
	return s.took, s.failed
}

// call calls each stack in turn on a connection of its own, until the context ends.
func (s *sideBySide) call(ctx context.Context) {
	var clients [2]*stack.Client
	for i := range clients {
		c, err := s.stacks[i].Dial(context.WithoutCancel(ctx), lab.GatewayFrontIPv4) // the end is no failure
		if err != nil {
			s.failure(i, err)
			return
		}
		defer c.Close()
		clients[i] = c
	}
	tick := time.NewTicker(callEvery)
	defer tick.Stop()
	for n := range 900 { // the gateway closes a connection after 1,000
		for i := range clients {
			i = (i + n) % len(clients) // none is always the first
			began := time.Now()
			a, err := clients[i].Do(stack.Get("/insight/1", 0))
			if err == nil && a.Status != http.StatusOK {
				err = fmt.Errorf("status %d", a.Status)
			}
			if err != nil {
				s.failure(i, err)
				return
			}
			s.mu.Lock()
			s.took[i] = append(s.took[i], time.Since(began))
			s.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	if ctx.Err() == nil {
		s.call(ctx)
	}
}

func (s *sideBySide) failure(i int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed[i]++
	if s.why == nil {
		s.why = err
	}
}

// quantile returns one of sorted times.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// scrape reads a runner's metrics, each summed over its labels; nil: they are not served yet.
func scrape(t *testing.T, address string) map[string]float64 {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
			all[name] += value
			for _, l := range m.GetLabel() {
				all[name+"{"+l.GetName()+"="+l.GetValue()+"}"] += value
			}
		}
	}
	return all
}

// countersOf lists those counters of a prefix that differ.
func countersOf(before, after map[string]float64, prefix string) string {
	var changed []string
	for name, value := range after {
		if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, "_total") && value != before[name] {
			changed = append(changed, fmt.Sprintf("%s +%g", strings.TrimSuffix(strings.TrimPrefix(name, prefix), "_total"), value-before[name]))
		}
	}
	slices.Sort(changed)
	return strings.Join(changed, ", ")
}

// lockedBuffer is what a process logs, while it runs.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
