//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
)

// Options say what the lab's network is like. The zero value is a plain one.
type Options struct {
	// Offloads leaves merged packets (TSO, GSO, GRO) on, as a host has them. Off, every packet is one
	// segment, for the capture as for a program on TC. Checksum offload stays on either way.
	Offloads bool
	// Middle puts a namespace between client and gateway, with an interface toward each. Nothing passes until a
	// Forwarder joins the two. TSO is off then, also with Offloads.
	Middle bool
	// MTU of all interfaces in bytes: 1280 (the least IPv6 allows) to 65535; 0 is 1500.
	MTU int
}

const (
	defaultMTU = 1500
	minMTU     = 1280
	maxMTU     = 65535
)

func (o Options) withDefaults() (Options, error) {
	if o.MTU == 0 {
		o.MTU = defaultMTU
	}
	if o.MTU < minMTU || o.MTU > maxMTU {
		return o, fmt.Errorf("check options: MTU %d is not in %d..%d", o.MTU, minMTU, maxMTU)
	}
	return o, nil
}

// Lab is three namespaces in a row. It must be closed.
type Lab struct {
	Client, Gateway, Upstream *Namespace

	Middle *Namespace // between client and gateway; nil without Options.Middle

	stamps *stampLease
	keeper *stampKeeper
	closed bool
}

// New builds the namespaces and joins them; the interfaces are up when it returns. ctx ends the building
// only. Where it fails nothing is left behind. Missing says beforehand what it would fail for.
func New(ctx context.Context, options Options) (*Lab, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Lab{}
	if err := l.build(ctx, options); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) build(ctx context.Context, options Options) (err error) {
	if l.stamps, err = leaseStamps(prequeueSysctl, prequeueLock); err != nil {
		return err
	}
	for _, n := range l.wanted(options) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("build lab: %w", err)
		}
		if *n.at, err = newNamespace(n.name); err != nil {
			return err
		}
	}
	err = l.Gateway.Do(func() (err error) {
		l.keeper, err = newStampKeeper()
		return err
	})
	if err != nil {
		return err
	}
	pairs := l.pairs(options)
	for _, pair := range pairs {
		if err := join(pair, options.MTU); err != nil {
			return err
		}
	}
	for _, pair := range pairs {
		if err := errors.Join(pair[0].awaitUp(ctx), pair[1].awaitUp(ctx)); err != nil {
			return err
		}
	}
	return l.keeper.await(ctx)
}

// wantedNamespace is a namespace to be made.
type wantedNamespace struct {
	at   **Namespace
	name string
}

func (l *Lab) wanted(options Options) []wantedNamespace {
	wanted := []wantedNamespace{{&l.Client, "client"}, {&l.Gateway, "gateway"}, {&l.Upstream, "upstream"}}
	if options.Middle {
		wanted = append(wanted, wantedNamespace{&l.Middle, "middle"})
	}
	return wanted
}

// Close stops captures that still run, kills processes that were started inside and still run (their exec.Cmd
// is the caller's to Wait for), and removes interfaces and namespaces. It works on a half-built lab, and does
// nothing the second time. Sockets of Listen and DialContext are the caller's: an open one keeps its
// namespace, without an interface, until it is closed.
func (l *Lab) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	var errs []error
	var built []*Namespace
	for _, n := range []*Namespace{l.Client, l.Middle, l.Gateway, l.Upstream} {
		if n != nil {
			built = append(built, n)
			errs = append(errs, n.quiet())
		}
	}
	// An interface goes with its peer, and a capture on it fails then: all must be quiet before the first is
	// removed.
	for _, n := range built {
		errs = append(errs, n.remove())
	}
	if l.keeper != nil {
		errs = append(errs, l.keeper.close())
	}
	if l.stamps != nil {
		errs = append(errs, l.stamps.release())
	}
	return errors.Join(errs...)
}
