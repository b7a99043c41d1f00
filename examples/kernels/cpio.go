package main

import (
	"bytes"
	"fmt"
	"path"
)

// cpio is an initial RAM disk in the format `newc` (kernel: Documentation/driver-api/early-userspace/buffer-format.rst).
// The zero value is empty.
type cpio struct {
	buffer bytes.Buffer
	inode  int
	made   map[string]bool // folders
}

// Modes of entries (stat.h).
const (
	modeFolder = 0o040000
	modeFile   = 0o100000
	modeDevice = 0o020000
)

// file adds a file, and the folders above it.
func (c *cpio) file(name string, mode uint32, content []byte) {
	c.folder(path.Dir(name))
	c.entry(name, modeFile|mode, 0, 0, content)
}

// device adds a character device.
func (c *cpio) device(name string, major, minor uint32) {
	c.folder(path.Dir(name))
	c.entry(name, modeDevice|0o600, major, minor, nil)
}

// folder adds a folder and those above it, once.
func (c *cpio) folder(name string) {
	if name == "." || name == "/" || c.made[name] {
		return
	}
	if c.made == nil {
		c.made = make(map[string]bool)
	}
	c.made[name] = true
	c.folder(path.Dir(name))
	c.entry(name, modeFolder|0o755, 0, 0, nil)
}

func (c *cpio) entry(name string, mode, major, minor uint32, content []byte) {
	c.inode++
	fmt.Fprintf(&c.buffer, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.inode, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name)+1, 0, name)
	c.pad()
	c.buffer.Write(content)
	c.pad()
}

func (c *cpio) pad() {
	for c.buffer.Len()%4 != 0 {
		c.buffer.WriteByte(0)
	}
}

// bytes returns the archive with its end.
func (c *cpio) bytes() []byte {
	c.entry("TRAILER!!!", 0, 0, 0, nil)
	return c.buffer.Bytes()
}
