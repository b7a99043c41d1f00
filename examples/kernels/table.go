package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// printAll prints the output of what failed, what was left out, how the programs loaded, and one line for each check. It reports
// whether all passed.
func printAll(out io.Writer, results []result) bool {
	ok := printFailures(out, results)
	printLeftOut(out, results)
	printLoads(out, results)
	printChecks(out, results)
	return ok
}

func printFailures(out io.Writer, results []result) bool {
	ok := true
	for _, r := range results {
		for _, c := range r.checks {
			if !c.passed() {
				ok = false
				fmt.Fprintf(out, "\n== %s: %s failed (exit %d):\n%s\n", r.kernel.release, c.Name, c.exit, strings.Join(why(c.lines), "\n"))
			}
		}
		if r.err != nil {
			ok = false
			fmt.Fprintf(out, "\n== %s: %v\n", r.kernel.release, r.err)
		}
	}
	return ok
}

// why returns what a failed check's output says of the tests that failed, and its last lines.
func why(lines []string) []string {
	ends := last(lines, 40)
	var said []string
	for i, line := range lines[:len(lines)-len(ends)] {
		if failLine.MatchString(line) {
			said = append(said, append(last(lines[:i], 10), line)...)
		}
	}
	return append(said, ends...)
}

var failLine = regexp.MustCompile(`^\s*--- FAIL: `)

func printLeftOut(out io.Writer, results []result) {
	fmt.Fprintln(out, "\nLEFT OUT")
	for _, l := range testsLeftOut() {
		fmt.Fprintf(out, "on every kernel: %s: %s\n", strings.Trim(l.tests, "^$"), l.why)
	}
	for _, r := range results {
		for _, c := range r.checks {
			for reason, names := range skipped(c.lines) {
				fmt.Fprintf(out, "%s: %s: %s\n", r.kernel.release, strings.Join(names, ", "), strings.TrimPrefix(reason, "left out: "))
			}
		}
	}
}

// loadLine is what TestLoad prints of a program, and setLine the set of capabilities that it was loaded with.
var (
	loadLine = regexp.MustCompile(`(ft_\w+): (\S+): instructions processed (\d+) insns`)
	setLine  = regexp.MustCompile(`^=== RUN +TestLoad/(.*)`)
)

// printLoads prints how long each program took to load, and how many instructions the verifier processed: with first payloads kept.
func printLoads(out io.Writer, results []result) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nKERNEL\tLOADED WITH\tPROGRAM: TIME, INSTRUCTIONS")
	for _, r := range results {
		for _, c := range r.checks {
			if c.Name != checkLoad {
				continue
			}
			for _, set := range loadsOf(c.lines) {
				fmt.Fprintf(w, "%s\t%s\t%s\n", r.kernel.release, set[0], strings.Join(set[1:], "; "))
			}
		}
	}
	w.Flush()
}

// loadsOf returns for each set of capabilities its name, and what became of the programs.
func loadsOf(lines []string) (sets [][]string) {
	for _, line := range lines {
		if m := setLine.FindStringSubmatch(line); m != nil {
			sets = append(sets, []string{strings.ReplaceAll(m[1], ",_", ", ")})
			continue
		}
		if len(sets) == 0 {
			continue
		}
		set := &sets[len(sets)-1]
		if m := loadLine.FindStringSubmatch(line); m != nil && !slices.ContainsFunc(*set, func(s string) bool { return strings.HasPrefix(s, m[1]+":") }) {
			*set = append(*set, fmt.Sprintf("%s: %s, %s", m[1], m[2], m[3]))
		} else if _, missing, ok := strings.Cut(line, "missing: "); ok {
			*set = append(*set, "refused: "+missing)
		}
	}
	return sets
}

func printChecks(out io.Writer, results []result) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nKERNEL\tCHECK\tRESULT\tSECONDS\tLAST LINE")
	for _, r := range results {
		for _, c := range r.checks {
			fmt.Fprintf(w, "%s\t%s\t%s\t%.1f\t%s\n", r.kernel.release, c.Name, verdict(c), c.seconds, strings.Join(last(c.lines, 1), ""))
		}
		fmt.Fprintf(w, "%s\tall\t\t%.1f\t\n", r.kernel.release, r.duration.Round(100*time.Millisecond).Seconds())
	}
	w.Flush()
}

func verdict(c checkResult) string {
	switch {
	case c.passed():
		return "passed"
	case !c.ended:
		return "not run"
	}
	return "failed"
}

func last(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }
