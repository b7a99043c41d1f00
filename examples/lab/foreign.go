//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Foreign is a network namespace that another program made, like a container's. It must be closed.
type Foreign struct {
	*Namespace
	keeper *stampKeeper
}

// OpenForeign opens a namespace by a path like /proc/PID/ns/net, for sockets and captures. Its loopback must be up. Captures
// count packets rightly; their times may be those before the packet waited for its CPU, as the host is set.
func OpenForeign(ctx context.Context, name, path string) (*Foreign, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open namespace %s: %w", name, err)
	}
	f := &Foreign{Namespace: &Namespace{Name: name, file: file}}
	err = f.Do(func() (err error) {
		f.keeper, err = newStampKeeper()
		return err
	})
	if err == nil {
		err = f.keeper.await(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Close stops captures and kills processes that were started inside. The namespace and its interfaces stay.
func (f *Foreign) Close() error {
	errs := []error{f.quiet()}
	if f.keeper != nil {
		errs = append(errs, f.keeper.close())
	}
	return errors.Join(append(errs, f.file.Close())...)
}
