package store

import "time"

// Counts is what a Meter has counted, at one moment.
type Counts struct {
	Up        bool      // the last command was answered, and not with "not now"
	LastError string    // the last error's text, at most 200 bytes; "" if there was none
	LastAt    time.Time // when that was

	Waiting, WaitingBytes int64         // writes in the queue
	Sent                  uint64        // writes that arrived
	Replaced              uint64        // writes that a later one of the same made pointless; some were on their way, and are in Sent, too
	Dropped               uint64        // writes that made room for later ones
	Expired               uint64        // writes that lived out while they waited
	Retried               uint64        // times that a write has to be sent again
	Refused               [Kinds]uint64 // writes that the server, or this package, does not take

	Read    uint64        // values that were read
	Skipped [Skips]uint64 // values that were read, and are not used

	Heard     uint64 // what others published
	Unheard   uint64 // what others published, and there was no room for
	Connected uint64 // times that the subscription began

	Lost          uint64 // times that Redis may have lost what was written
	Namesakes     uint64 // times that another gateway was under this one's name
	NamesakeThere bool   // one is

	Commands, BytesSent, BytesReceived uint64 // to and from Redis, without TLS' own
	Dialled                            uint64 // connections
	Rejected                           uint64 // replies beyond the bounds, or that are not RESP (ErrReply); but for those of Sentinels
	Panics                             uint64 // that were caught

	ClockKnown  bool
	ClockOffset time.Duration // what Redis' clock is ahead of ours
	ClockError  time.Duration // by which that may be wrong
	ClockSteps  uint64        // times that Redis' clock was not where it should be
	Gateways    int64         // that there were when last looked
	LeftOut     int64         // names of the list of gateways that were left out then
}

// Counts returns what was counted.
func (m *Meter) Counts() Counts {
	c := Counts{
		Waiting: m.waiting.Load(), WaitingBytes: m.waitingBytes.Load(),
		Sent: m.sent.Load(), Replaced: m.replaced.Load(), Dropped: m.dropped.Load(), Expired: m.expired.Load(), Retried: m.retried.Load(),
		Read: m.read.Load(), Heard: m.heard.Load(), Unheard: m.unheard.Load(), Connected: m.connected.Load(),
		Lost: m.lost.Load(), Namesakes: m.namesakes.Load(), NamesakeThere: m.isNamesake.Load(),
		Commands: m.commands.Load(), BytesSent: m.bytesSent.Load(), BytesReceived: m.bytesReceived.Load(), Dialled: m.dialled.Load(),
		ClockKnown: m.isClockKnown.Load(), ClockOffset: time.Duration(m.offset.Load()), ClockError: time.Duration(m.offsetError.Load()),
		Rejected: m.rejected.Load(), Panics: m.panics.Load(),
		ClockSteps: m.clockSteps.Load(), Gateways: m.gateways.Load(), LeftOut: m.leftOut.Load(),
	}
	for k := range c.Refused {
		c.Refused[k] = m.refused[k].Load()
	}
	for s := range c.Skipped {
		c.Skipped[s] = m.skipped[s].Load()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c.Up, c.LastError, c.LastAt = m.isUp, m.lastError, m.lastAt
	return c
}
