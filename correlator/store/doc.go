// Package store carries what gateways tell each other (correlator/fleet) to Redis and back: one server, Sentinel, or Cluster.
// Nothing here is ever on the request path: writes wait in a bounded queue, and whatever waits for the network does so in this
// package's own goroutines (Run), or in Reader's and Clock's methods, which are for a caller's own goroutine.
//
// # Use
//
//	client, err := store.Dial(options, log)
//	m := new(store.Meter)
//	m.Attach(client)                                   // before the first command: counts commands and bytes
//	l := store.NewLink(client, m, store.Settings{...}) // or, to read only, NewReader and NewClock
//	go l.Run(ctx)                                      // writer, subscriber, clock
//	go l.Presence.Run(ctx)                             // while no other process has the gateway's place
//	l.Writer.Set(key, value, ttl)                      // never waits
//	for { select { case h := <-l.Subscriber.Heard(): ...; case <-l.Subscriber.Again(): ...; case <-l.Presence.Lost(): ... } }
//
// Two signals say that state has to be told anew; each is a channel with one place, so that many of them are one. Subscriber.Again:
// something may not have been heard, so read what the others have. Presence.Lost: Redis may have lost what was written (restarted,
// failed over, evicted), so write everything that holds.
//
// # Reading the source
//
//   - options.go, options_contradictions.go: the settings.
//   - dial.go: a client by these settings; connect.go: one connection, encrypted or not; password.go: who one is.
//   - reply.go: what a server may answer, and the bounds of it; reply_conn.go: a connection that rejects the rest; survive.go: a panic
//     ends no goroutine.
//   - secret.go, log.go: a password is in no error and no log.
//   - link.go: the parts together; meter.go, counts.go: what is counted; traffic.go: bytes and commands.
//   - writer.go: the loop that sends; queue.go: what waits, deferral.go: what has to wait longer, settle.go: what became of it; write.go: one write; batch.go: how many are sent at once.
//   - fault.go: which errors are tried again; backoff.go: when.
//   - subscriber.go: what others publish; inbox.go: what of it waits; roster.go: who was heard.
//   - reader.go: strings; hashes.go, stream.go: the others; measured.go: which of those are not too large; gateways.go: who there is.
//   - presence.go: being there, and noticing a lost state; namesake.go: two gateways of one name; servers.go: which servers answer.
//   - clock.go: Redis' clock.
//   - sentinel.go: the primary that Sentinels know.
//   - quota.go: what each gateway takes of a server's memory (fivetuple quota).
//
// # Caveats
//
// A write whose answer was lost is sent again: an event may be in its stream twice. What is published in a Cluster goes through the
// node that has the fleet's slot, so that it arrives in order.
package store
