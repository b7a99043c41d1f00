// Command fivetuple tells an Apache APISIX gateway what the network did to every API call: `fivetuple agent` keeps the
// kernel's records, `fivetuple run` is the plugin runner that puts them on calls.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"fivetuple/runner/printable"
)

func main() {
	if err := noCore(); err != nil {
		printError(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	root := newRootCommand()
	root.SetOut(printable.NewTextWriter(os.Stdout)) // behind what commands escape themselves: names of files, arguments, errors
	root.SetErr(printable.NewTextWriter(os.Stderr))
	err := root.ExecuteContext(ctx)
	stop()
	if err != nil {
		printError(err)
		os.Exit(1)
	}
}

// printTime is how long an error may take to be printed: a process that failed has to end, so that somebody starts it again, also if
// whoever reads standard error has stopped.
const printTime = time.Second

func printError(err error) {
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		fmt.Fprintln(printable.NewTextWriter(os.Stderr), "fivetuple:", err)
	}()
	select {
	case <-printed:
	case <-time.After(printTime):
	}
}
