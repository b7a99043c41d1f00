package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"fivetuple/conf/safefile"
)

// blockSize is how many numbers a process reserves at once. Numbers come again after 65,536 starts, or
// 2^32 configurations.
const blockSize = 1 << 16

// blocks is how many there are of 32-bit numbers.
const blocks = 1 << 16

// numbersFile is the file in a socket's folder that holds the number of the next free block.
const numbersFile = "fivetuple.tokens"

// NumbersFile returns the file in which a socket's numbers are reserved. It is one for all sockets of a folder, and stays: APISIX
// gives its runner another path whenever APISIX starts (apisix-PID.sock), so that files of their own would fill the folder.
func NumbersFile(socket string) string { return filepath.Join(filepath.Dir(socket), numbersFile) }

// Numbers gives out tokens that no other process on a socket path of the same folder gives out: blocks of them are reserved in a
// file beside the sockets, which holds the number of the next free block. Where the file cannot be kept, a random block is taken
// each time: then another process has a given block with a probability of 1 in 65,536.
type Numbers struct {
	path string
	warn func(error)

	mu        sync.Mutex
	next, end uint64
}

// ReserveNumbers reserves the first block. The function is told why the file cannot be kept.
func ReserveNumbers(path string, warn func(error)) (*Numbers, error) {
	n := &Numbers{path: path, warn: warn}
	if err := n.reserve(); err != nil {
		return nil, err
	}
	return n, nil
}

// Take returns a number, never 0.
func (n *Numbers) Take() (uint32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == n.end {
		if err := n.reserve(); err != nil {
			return 0, err
		}
	}
	token := uint32(n.next)
	n.next++
	return token, nil
}

func (n *Numbers) reserve() error {
	b, err := nextBlock(n.path)
	if err != nil {
		n.warn(fmt.Errorf("keep token numbers in %s: %w: a random block is used; another process has the same one with a "+
			"probability of 1 in 65536", n.path, err))
		if b, err = randomBlock(); err != nil {
			return err
		}
	}
	n.next, n.end = uint64(b)*blockSize, uint64(b+1)*blockSize
	if n.next == 0 {
		n.next = 1
	}
	return nil
}

func randomBlock() (block, error) {
	var b [2]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("draw a random block: %w", err)
	}
	return block(binary.BigEndian.Uint16(b[:])), nil
}

// block is a block's number, 0 to 65,535.
type block uint32

// maxBlockFile is the length of the longest number that the file can hold.
const maxBlockFile = 16

// nextBlock takes the next free block from the file and writes the one after it, before the block is used. The file is
// locked meanwhile. A new file begins at a random block. One with other content is an error: whoever wrote it, numbers may have been given out that it does not
// tell of.
func nextBlock(path string) (b block, err error) {
	f, err := safefile.Open(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := safefile.Lock(context.Background(), f, lockWait); err != nil {
		return 0, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxBlockFile+1))
	if err != nil {
		return 0, err
	}
	if text = bytes.TrimSpace(text); len(text) > 0 {
		n, err := strconv.ParseUint(string(text), 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not the number of a block, 0 to 65535", text)
		}
		b = block(n)
	} else if b, err = randomBlock(); err != nil { // the file may have been there, and been lost with the folder
		return 0, err
	}
	after := fmt.Appendf(nil, "%5d\n", (b+1)%blocks)
	if _, err := f.WriteAt(after, 0); err != nil {
		return 0, err
	}
	return b, errors.Join(f.Truncate(int64(len(after))), f.Sync())
}
