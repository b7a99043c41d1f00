package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

const (
	gatewayPort = "9080"
	// recordsWait is how long it may take until each call has its line in the log of calls.
	recordsWait = 20 * time.Second
	// insideCalls is how many calls the client's container makes.
	insideCalls = 2
)

// namespace opens the network namespace of a service, and returns its address there.
func (s *project) namespace(ctx context.Context, service string) (*lab.Foreign, netip.Addr, error) {
	pid, err := s.pid(ctx, service)
	if err != nil {
		return nil, netip.Addr{}, err
	}
	f, err := lab.OpenForeign(ctx, service, fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, netip.Addr{}, err
	}
	var address netip.Addr
	err = f.Do(func() error {
		eth, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		all, err := eth.Addrs()
		if err != nil {
			return err
		}
		for _, a := range all {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is4() {
				address = prefix.Addr()
				return nil
			}
		}
		return fmt.Errorf("eth0 of %s: %w", service, errNoAddress)
	})
	if err != nil {
		return nil, netip.Addr{}, errors.Join(err, f.Close())
	}
	return f, address, nil
}

var errNoAddress = errors.New("no IPv4 address")

// compared is what a comparison with a capture has seen.
type compared struct {
	calls, headers int
	bytes          uint64
}

// compareSizes makes calls of many sizes, on connections from the host, through the published port, and from the client's container, while a
// capture in the gateway's network namespace listens: the headers and the lines of the log must have what the capture has.
func (s *project) compareSizes(ctx context.Context) (c compared, err error) {
	ns, address, err := s.namespace(ctx, "apisix")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	capture, err := ns.Capture("eth0", lab.CaptureOptions{})
	if err != nil {
		return c, err
	}
	made, err := s.makeCalls(ctx, net.JoinHostPort(address.String(), gatewayPort))
	if err != nil {
		return c, errors.Join(err, capture.Stop())
	}
	var lines []logLine
	err = await(ctx, recordsWait, "a line for each call", func() (err error) {
		flows := lab.Flows(capture.Packets(), nil)
		if lines, err = s.logLines(ctx, flows); err == nil && len(lines) < made.calls {
			err = fmt.Errorf("%w: %d of %d", errDiffers, len(lines), made.calls)
		}
		return err
	})
	if err := errors.Join(err, capture.Stop()); err != nil {
		return c, err
	}
	flows := lab.Flows(capture.Packets(), nil)
	for _, h := range made.headers {
		wire, err := stack.WireSize(flows, h.gateway, h.client, h.insight)
		if err != nil || wire != uint64(h.insight.Size) {
			return c, fmt.Errorf("a call's header says %d bytes, the capture %d: %w", h.insight.Size, wire, errors.Join(err, errDiffers))
		}
		c.headers++
	}
	for _, l := range lines {
		sum, err := l.compare(flows)
		if err != nil {
			return c, err
		}
		c.calls++
		c.bytes += sum
	}
	return c, nil
}

// made is what makeCalls has done.
type made struct {
	calls   int
	headers []header
}

// header is a call whose client is known, and what its headers say.
type header struct {
	client, gateway netip.AddrPort
	insight         stack.Insight
}

func (s *project) makeCalls(ctx context.Context, gateway string) (m made, err error) {
	for _, at := range []string{gateway, s.apisix} {
		conn, err := (&net.Dialer{Timeout: callWait}).DialContext(ctx, "tcp", at)
		if err != nil {
			return m, err
		}
		c := newClient(conn)
		for _, request := range requests() {
			a, err := c.call(request)
			if err != nil {
				return m, errors.Join(err, conn.Close())
			}
			m.calls++
			if at == gateway { // behind the published port the client is another one
				m.headers = append(m.headers, header{c.localAddress(), netip.MustParseAddrPort(gateway), a.insight})
			}
		}
		if err := conn.Close(); err != nil {
			return m, err
		}
	}
	for range insideCalls {
		out, err := s.do(ctx, "run", "--rm", "--no-TTY", "--quiet-pull", "client", "--silent", "--show-error", "--fail", "http://apisix:"+gatewayPort+"/insight/inside")
		if err != nil {
			return m, err
		}
		if _, err := readAnswer([]byte(out)); err != nil {
			return m, fmt.Errorf("a call from a container: %w", err)
		}
		m.calls++
	}
	return m, nil
}

func requests() [][]byte {
	var all [][]byte
	for _, padding := range []int{0, 100, 1000, 4000} {
		all = append(all, stack.Get("/insight/get", padding))
	}
	for _, length := range []int{10, 10_000, 1 << 20} {
		all = append(all, stack.Post("/insight/post", length))
	}
	return append(all, stack.Get("/insight/last", 0))
}

// logLine is what is compared of a line of the log of calls.
type logLine struct {
	Match                 string
	PeerAddress           netip.Addr `json:"network.peer.address"`
	PeerPort              uint16     `json:"network.peer.port"`
	LocalAddress          netip.Addr `json:"network.local.address"`
	LocalPort             uint16     `json:"network.local.port"`
	First                 int        `json:"exchange_first"`
	Last                  int        `json:"exchange_last"`
	OrigPackets           uint64     `json:"orig_pkts"`
	OrigBytes             uint64     `json:"orig_ip_bytes"`
	RespPackets           uint64     `json:"resp_pkts"`
	RespBytes             uint64     `json:"resp_ip_bytes"`
	Route                 string     `json:"apisix.route_id"`
	RetransmittedByClient uint64     `json:"orig_retransmitted_pkts"`
}

func (l *logLine) key() lab.FlowKey {
	return lab.FlowKey{Local: netip.AddrPortFrom(l.LocalAddress, l.LocalPort), Remote: netip.AddrPortFrom(l.PeerAddress, l.PeerPort)}
}

// logLines returns the lines of the runner's log whose connections are in a capture from their beginning.
func (s *project) logLines(ctx context.Context, flows map[lab.FlowKey]*lab.Flow) (all []logLine, err error) {
	out, err := s.exec(ctx, "runner", "/usr/local/bin/fivetuple", "calls", "--json")
	if err != nil {
		return nil, err
	}
	for text := range strings.Lines(out) {
		var l logLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			return nil, fmt.Errorf("read the log's line %.200q: %w", text, err)
		}
		if flows[l.key()] != nil {
			all = append(all, l)
		}
	}
	return all, nil
}

// compare says whether a line has what the capture has of the call, and returns the bytes of both directions.
func (l *logLine) compare(flows map[lab.FlowKey]*lab.Flow) (uint64, error) {
	if l.Match != "exchange" {
		return 0, fmt.Errorf("%w: a line of the log has the match %q", errBare, l.Match)
	}
	f, err := flows[l.key()].Between(l.First, l.Last, 1<<62)
	if err != nil {
		return 0, err
	}
	got := [4]uint64{l.OrigPackets, l.OrigBytes, l.RespPackets, l.RespBytes}
	want := [4]uint64{f.RXPackets, f.RXBytes, f.TXPackets, f.TXBytes}
	if got != want {
		return 0, fmt.Errorf("%w: packets and bytes of a call, in and out: the log has %v, the capture %v", errDiffers, got, want)
	}
	return l.OrigBytes + l.RespBytes, nil
}
