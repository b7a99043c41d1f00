// Package task is what the tool and its guest tell each other.
package task

// Folders of the guest.
const (
	// Source is where the guest has the project's files, and in bin its programs.
	Source = "/src"
	// Captures is where the guest has captures, beside the source as the tests expect.
	Captures = "/shared/pcaps"
	// File is where the guest finds its Boot.
	File = "/boot.json"
)

// Boot is what a guest does: it loads modules, runs checks, and ends.
type Boot struct {
	// Modules are paths, in the order in which they are loaded.
	Modules []string `json:"modules"`
	// Checks are run one after the other.
	Checks []Check `json:"checks"`
}

// Check is a program to be run.
type Check struct {
	// Name is unique in a boot.
	Name string `json:"name"`
	// Args are the program's path and its arguments.
	Args []string `json:"args"`
	// Env are settings beside those that every check gets, as NAME=VALUE.
	Env []string `json:"env,omitempty"`
	// Dir is the working directory.
	Dir string `json:"dir"`
	// Seconds bound its run; then it is killed.
	Seconds int `json:"seconds"`
}

// Event is a line on the guest's second serial port, as JSON.
type Event struct {
	// Check is the name; empty is the guest itself.
	Check string `json:"check,omitempty"`
	// Line is one that it printed.
	Line string `json:"line,omitempty"`
	// Ended says that it ended, with Exit and after Seconds.
	Ended   bool    `json:"ended,omitempty"`
	Exit    int     `json:"exit,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}
