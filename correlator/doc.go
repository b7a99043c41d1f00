// Package correlator joins an API call with what the kernel saw of it: from the 5-tuple that the gateway names to the
// connection's record, from the record to the call's exchange, and from there to figures. It knows neither the kernel
// nor APISIX: records come through flow.Table, the gateway is asked through Gateway, and time is an argument.
//
// # Reading the source
//
//   - tuple.go: where a call's 5-tuple comes from.
//   - correlator.go: the look-up, and what is remembered of a connection between its calls.
//   - http1.go, tls.go: which exchanges are the call's, by the rules of each protocol.
//   - figures.go: what is said of them.
package correlator
