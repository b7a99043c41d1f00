// Package capture reads capture files for replays: pcap and pcapng, as Ethernet frames with their times, and which side of
// each flow is the local one.
package capture
