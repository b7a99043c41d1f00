//go:build linux

package lab

import (
	"fmt"
	"os/exec"
)

// Start is cmd.Start inside the namespace: the child has the namespace of the thread that forks. /sys, mounts
// and pins are the caller's. The caller waits for cmd; Lab.Close kills what still runs.
// cmd.SysProcAttr.Pdeathsig must not be set: it fires when the forking thread ends, which may be any time.
func (n *Namespace) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr != nil && cmd.SysProcAttr.Pdeathsig != 0 {
		return fmt.Errorf("start %s: Pdeathsig would follow a thread of the lab, not the process", cmd.Path)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return fmt.Errorf("start %s: namespace %s is closed", cmd.Path, n.Name)
	}
	if err := n.Do(cmd.Start); err != nil {
		return err
	}
	n.children = append(n.children, cmd.Process)
	return nil
}
