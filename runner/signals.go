package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
)

// signalsHelp is what commands that stay up print about signals.
const signalsHelp = "SIGTERM and SIGINT end the process in order. SIGHUP, SIGUSR1 and SIGUSR2 are ignored, with a line in the log: the\n" +
	"settings are read at the start only, and a terminal that closes or logrotate must not end it. When nobody reads\n" +
	"standard error any more, log lines are lost and nothing else."

// stayUp keeps signals from ending the process whose senders do not want that:
//
//   - SIGPIPE: whoever read standard error is gone. Go would end the process at the next log line; ignored, the write fails.
//   - SIGHUP, SIGUSR1, SIGUSR2: logrotate, `docker kill --signal HUP` and administrators send them by habit, to have a process read its
//     settings or open its log files again; and the kernel sends SIGHUP to all processes of a terminal that is closed, also to
//     nginx, which then reloads and needs its runner. The settings are read once, so there is nothing to do.
//
// SIGTERM and SIGINT end the process in order. After stop, SIGPIPE is still ignored.
func stayUp(log zerolog.Logger) (stop func()) {
	signal.Ignore(syscall.SIGPIPE)
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	var wg sync.WaitGroup
	wg.Go(func() {
		for s := range got {
			log.Info().Stringer("signal", s).Msg("signal is ignored: the settings are read at the start only")
		}
	})
	return func() {
		signal.Stop(got)
		close(got)
		wg.Wait()
	}
}
