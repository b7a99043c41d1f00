package fleet

import "time"

// Moment is one time on two clocks: this host's kernel's, which nobody sets, and Redis', which is the same for all gateways.
type Moment struct {
	Kernel uint64 // CLOCK_MONOTONIC nanoseconds
	Redis  int64  // milliseconds since 1970; 0: not known yet
}

// toRedis returns a kernel's time in Redis' clock.
func (m Moment) toRedis(ns uint64) int64 {
	return max(m.Redis+int64(ns-m.Kernel)/int64(time.Millisecond), 0) //nolint:gosec // may be before
}

// toKernel returns the kernel's time of what lies ahead in Redis' clock, at most so far; 0: it is past.
func (m Moment) toKernel(ms int64, most time.Duration) uint64 {
	if ms <= m.Redis {
		return 0
	}
	ahead := min(ms-m.Redis, most.Milliseconds())
	return m.Kernel + uint64(ahead)*uint64(time.Millisecond)
}
