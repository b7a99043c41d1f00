// Command fivetuple tells an Apache APISIX gateway what the network did to every API call: `fivetuple agent` keeps the
// kernel's records, `fivetuple run` is the plugin runner that puts them on calls.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := newRootCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fivetuple:", err)
		os.Exit(1)
	}
}
