package main

import (
	"regexp"
	"runtime"
	"slices"
	"strings"

	"fivetuple/examples/kernels/task"
)

// replayed are the captures that a guest replays, each with its independent figures: TCP over IPv4 and IPv6, losses, holes, VLAN tags,
// HTTP of real programs.
func replayed() []string {
	return []string{
		"lab1_pipeline_upload.pcap", "lab1_zerowindow.pcap", "zeek__http_methods.pcap", "zeek__http_1000-requests-one-dropped-response.pcap",
		"lab1_slowloris.pcap", "ndpi__WebattackRCE.pcap", "suricata-verify__tcp-async-01_input.pcap", "ndpi__quic_interop_V.pcapng",
	}
}

// leftOut are tests that a guest does not run, and why.
type leftOut struct {
	tests string // a regular expression
	why   string
}

// testsLeftOut are those of ./bpf.
func testsLeftOut() []leftOut {
	return []leftOut{
		{"^TestMillionFlows$", "a million records take an hour under software emulation"},
		{"^TestDetachedAgainAndAgain$", "1,200 rounds that start bpftool take minutes under software emulation"},
		{"^TestHeartbeatWhileAttaching$", "400 interfaces take longer on an emulated CPU than the test waits"},
	}
}

// checkLoad is the check whose output has the verifier's figures.
const checkLoad = "load"

// kernelTests are the tests of ./bpf whose outcome depends most on the kernel: agent, readers, pins, clsact, TCX, verdicts, devices.
const kernelTests = "Agent|Reader|Read|Pin|Clsact|TCX|Verdict|Attach|Detach|Interface|Device|Bond|Listener|Ahead|Foreign|Restart|Capabilit|Refusal|Midstream"

// fuzzPackets is how many packets the comparison with the model has in a guest; the long form has as many as on a host.
const fuzzPackets = "FIVETUPLE_FUZZ=20000"

func inSource(name string) string { return task.Source + "/bin/" + name }

// tests is a run of the kernel part's tests.
func tests(name, run string, seconds int, env ...string) task.Check {
	var skip []string
	for _, l := range testsLeftOut() {
		skip = append(skip, l.tests)
	}
	return task.Check{
		Name: name, Dir: task.Source + "/bpf", Seconds: seconds, Env: env,
		Args: []string{inSource("bpf.test"), "-test.v", "-test.run", run, "-test.skip", strings.Join(skip, "|"), "-test.timeout", "60m"},
	}
}

// checksOf returns the checks of a kernel that the options choose, in the order in which they are run: what takes seconds first. The
// oldest kernel runs all tests of ./bpf, the others those that depend on the kernel.
func checksOf(o options, k kernel) []task.Check {
	all := []task.Check{tests(checkLoad, "^TestLoad$", 300)}
	if o.pcaps != "" {
		all = append(all, task.Check{
			Name: "replay", Dir: task.Source, Seconds: 600,
			Args: []string{inSource("conformance"), "--binary", inSource("fivetuple"), task.Captures},
		})
	}
	// The demo's runner is nobody's, with kernel.unprivileged_bpf_disabled=2.
	all = append(all, task.Check{
		Name: "demo", Dir: task.Source, Seconds: 600,
		Args: []string{inSource("demo"), "--binary", inSource("fivetuple")},
	})
	headers := task.Check{
		Name: "headers", Dir: task.Source + "/examples/stack", Seconds: 900, Env: []string{"FIVETUPLE_BINARY=" + inSource("fivetuple")},
		Args: []string{inSource("stack.test"), "-test.v", "-test.run", "^TestEveryHeaderEqualsTheCapture$"},
	}
	switch {
	case k.arch != runtime.GOARCH:
		// The demo and some tests start programs of the host.
		all = slices.DeleteFunc(all, func(c task.Check) bool { return c.Name == "demo" })
	case o.full:
		all = append(all, headers, tests("bpf", ".", 3600))
	case strings.HasPrefix(k.release, "6.1."):
		all = append(all, tests("bpf", ".", 1800, fuzzPackets))
	default:
		all = append(all, tests("bpf", kernelTests, 1800, fuzzPackets))
	}
	return slices.DeleteFunc(all, func(c task.Check) bool { return !o.checks.MatchString(c.Name) })
}

// skipped returns the tests that a check skipped, by the reason that they printed, from the output of go test -v.
func skipped(lines []string) map[string][]string {
	reasons, last := make(map[string][]string), ""
	for _, line := range lines {
		if _, reason, ok := strings.Cut(line, "_test.go:"); ok {
			_, last, _ = strings.Cut(reason, ": ")
		}
		if m := skipLine.FindStringSubmatch(line); m != nil {
			reasons[last] = append(reasons[last], m[1])
		}
	}
	return reasons
}

var skipLine = regexp.MustCompile(`^\s*--- SKIP: (\S+)`)
