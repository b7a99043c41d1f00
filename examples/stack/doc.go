// Package stack runs everything at once on one machine: a lab's three namespaces (client, gateway, upstream), the agent
// and the runner as the processes they are, the stand-in gateway, and an upstream that answers with the headers it got.
// The demonstration and the end-to-end tests are made of it.
//
// # Reading the source
//
//   - stack.go: what is started, in which order, and how it ends; files.go: the files that it is started with.
//   - upstream.go: the server behind the gateway.
//   - client.go: a client that decides itself what goes into each write.
//   - tool_*_test.go: real clients, load balancers and servers (curl, HAProxy, nginx, h2load, nghttp, wrk, openssl), one file each;
//     tools_test.go: how they are run, and how the log of calls is compared with a capture.
//   - insight.go: what the upstream was told of a call; check.go: whether the capture says the same.
package stack
