// Package lab builds the network the demonstration and the end-to-end tests run in, and says what really
// went over it.
//
// Three network namespaces without names stand in a row: client, gateway and upstream, joined by two veth
// pairs, with IPv4 and IPv6 addresses (New). A packet socket listens on any of their interfaces (Capture),
// and the oracle turns what it heard into flows and exchanges (Flows). The oracle is written from the
// definitions of the figures and knows nothing of the eBPF program whose figures it is used to check, so
// that one mistake cannot be made in both.
//
// # Reading the source
//
//   - the network: lab.go, addresses.go, namespace.go, links.go, offload.go, onecpu.go,
//     missing.go
//   - things inside a namespace: socket.go, process.go
//   - a bad road between client and gateway (Options.Middle, Forward): impairment.go, fate.go, delayqueue.go, lane.go,
//     forwarder.go
//   - the capture: capture.go, packetsocket.go, receive.go, clock.go, stampkeeper.go, prequeue.go
//   - the file anybody can check: pcap.go, gsosplit.go
//   - the oracle: packet.go, decode.go, segment.go, oracle.go, sequence.go, exchange.go, figures.go,
//     handshake.go
//
// # Caveats and limitations
//
//   - The lab needs root, or CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_NET_RAW; Missing says what is not there.
//   - net.core.netdev_tstamp_prequeue is one setting for the whole host. It is 0 while a lab is open.
//   - The capture sits before TC on receive and behind TC on transmit, as every packet socket does: a time
//     differs by the few microseconds between the two places, and a packet that TC drops on receive is
//     in the capture.
//   - With Options.Offloads the capture shows merged packets; their segments carry one time.
//   - A flow is its 5-tuple: a port used again is the same Flow, its sequence numbers start again.
package lab
