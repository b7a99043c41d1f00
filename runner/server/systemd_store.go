package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	notifyEnv = "NOTIFY_SOCKET"
	// storeEnv is how many descriptors systemd stores for this service. Before version 254 systemd does not set it; our
	// unit does.
	storeEnv = "FDSTORE"
	// storeWait bounds how long systemd may take to take what it is to store.
	storeWait = 2 * time.Second
)

// errStore means that systemd did not take what it was to store.
var errStore = errors.New("store descriptors with the service manager")

// StoreSize returns how many descriptors systemd stores for this process; 0 if there is no systemd, or it stores none.
func StoreSize() int {
	n, err := strconv.Atoi(os.Getenv(storeEnv))
	if err != nil || n < 0 || os.Getenv(notifyEnv) == "" {
		return 0
	}
	return n
}

// Store has systemd keep the server's connections and tokens for the process that it starts next. Each connection is stored
// between two frames; those that the context's end finds amid a call are lost with it, and counted, as are those that
// do not fit. After an error the server serves as before.
func Store(ctx context.Context, s *Server, size int) (stored int, lost uint64, err error) {
	n, err := dialNotify()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, n.conn.Close()) }()
	var mu sync.Mutex
	var conns []*net.UnixConn
	late := s.HandOver(ctx, func(conn *net.UnixConn) {
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, conn)
	})
	mu.Lock()
	fewestFirst(conns)
	ready := conns[:min(len(conns), max(size-1, 0))] // one is for the tokens
	mu.Unlock()
	if err := n.store(s.Tokens(), ready); err != nil {
		err = errors.Join(fmt.Errorf("%w: %w", errStore, err), n.forget())
		s.Resume()
		return 0, 0, err
	}
	if late != nil {
		lost = s.Close(ctx)
	}
	mu.Lock()
	over := len(conns) - len(ready)
	for _, conn := range conns[len(ready):] {
		if hasInput(conn) {
			lost++
		}
	}
	mu.Unlock()
	if over > 0 {
		s.log.Error().Int("connections", over).Int("size", size).Msg("the service manager's store has no room: closing the rest")
	}
	s.Release()
	return len(ready), lost, nil
}

// fewestFirst puts the connections of users that have few before those of users that have many, so that nobody takes the store from others.
func fewestFirst(conns []*net.UnixConn) {
	of := make(map[*net.UnixConn]uint32, len(conns))
	count := make(map[uint32]int)
	for _, conn := range conns {
		if who, err := peerOf(conn); err == nil {
			of[conn] = who.Uid
		}
		count[of[conn]]++
	}
	slices.SortStableFunc(conns, func(a, b *net.UnixConn) int { return cmp.Compare(count[of[a]], count[of[b]]) })
}

// Forget has systemd drop what the process before stored: it is served now.
func Forget() error {
	n, err := dialNotify()
	if err != nil {
		return err
	}
	return errors.Join(n.forget(), n.conn.Close())
}

// notifier tells systemd about this service; see sd_notify(3).
type notifier struct {
	conn *net.UnixConn
}

func dialNotify() (notifier, error) {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: os.Getenv(notifyEnv), Net: "unixgram"})
	if err != nil {
		return notifier{}, fmt.Errorf("%w: %w", errStore, err)
	}
	return notifier{conn}, nil
}

// notify sends a message, with a descriptor if there is one.
func (n notifier) notify(message string, descriptor syscallConn) error {
	if err := n.conn.SetWriteDeadline(time.Now().Add(storeWait)); err != nil {
		return err
	}
	raw, err := n.conn.SyscallConn()
	if err != nil {
		return err
	}
	err = withRights(descriptor, func(rights []byte) error {
		var sendErr error // WriteMsgUnix sends nothing on a connected datagram socket
		err := raw.Write(func(fd uintptr) bool {
			sendErr = unix.Sendmsg(int(fd), []byte(message), rights, nil, unix.MSG_NOSIGNAL)
			return !errors.Is(sendErr, unix.EAGAIN)
		})
		return errors.Join(err, sendErr)
	})
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// store stores tokens and connections, and returns when systemd has them.
func (n notifier) store(tokens []Token, conns []*net.UnixConn) error {
	file, err := sealedFile(nameTokens, tokens)
	if err != nil {
		return err
	}
	err = n.notify("FDSTORE=1\nFDPOLL=0\nFDNAME="+nameTokens, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	for _, conn := range conns { // systemd drops one by itself when the gateway closes it
		if err := n.notify("FDSTORE=1\nFDNAME="+nameConnection, conn); err != nil {
			return err
		}
	}
	return n.barrier()
}

// forget drops what is stored. Messages are handled in order, so that it goes before what is stored later.
func (n notifier) forget() error {
	return errors.Join(n.notify("FDSTOREREMOVE=1\nFDNAME="+nameConnection, nil), n.notify("FDSTOREREMOVE=1\nFDNAME="+nameTokens, nil))
}

// barrier returns when systemd has handled the messages before: it closes the descriptor that comes with this one. A
// process that ends earlier may not be known any more as the service's.
func (n notifier) barrier() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	err = n.notify("BARRIER=1", w)
	if err := errors.Join(err, w.Close(), r.SetReadDeadline(time.Now().Add(storeWait))); err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("wait for it: %w", err)
	}
	return nil
}

// sealedFile writes tokens into memory that nobody can change any more.
func sealedFile(name string, tokens []Token) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	text, _ := encodeTokens(tokens)
	_, err = f.Write(text)
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write memory file: %w", err), f.Close())
	}
	return f, nil
}
