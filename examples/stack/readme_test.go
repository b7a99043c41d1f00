package stack_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fivetuple/examples/lab"
)

// readmeRoot makes a machine of which the README's commands change nothing outside: an empty layer over the folders that they add to, and
// empty folders instead of those that they fill. It gets a folder for the layers, and the repository's.
const readmeRoot = `
set -eu
layers=$1 repository=$2
mount -t tmpfs tmpfs "$layers"
for folder in /etc /usr/local "$repository"; do
	mkdir -p "$layers/upper$folder" "$layers/work$folder"
	mount -t overlay -o "lowerdir=$folder,upperdir=$layers/upper$folder,workdir=$layers/work$folder" overlay "$folder"
done
for folder in /run /var/lib /var/log; do
	mount -t tmpfs -o mode=0755 tmpfs "$folder"
done
cd "$repository"
`

// readmeGateway is what the reader has already: an APISIX, whose workers run as nobody. It has the files of conf/apisix as they are.
const readmeGateway = `
mkdir /run/apisix
cp conf/apisix/*.yaml /run/apisix/
go build -o /run/apisix/standin ./examples/gateway/standin
cd /run/apisix
exec setpriv --reuid=nobody --regid=nogroup --clear-groups ./standin -apisix apisix.yaml -config config.yaml -listen "$3"
`

// TestReadmeCommands runs the commands of the README as they are, by a shell, and makes a call through a gateway that has the shipped
// configuration.
func TestReadmeCommands(t *testing.T) {
	if missing := lab.Missing(); len(missing) > 0 {
		skip(t, strings.Join(missing, "; "))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // it builds
	defer cancel()
	l, err := lab.New(ctx, lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	upstream := serveMatch(ctx, t, l.Gateway, "127.0.0.1:1980") // that of conf/apisix/apisix.yaml
	defer upstream.Close()
	gateway := net.JoinHostPort(lab.GatewayFrontIPv4, "9080")
	shell := startReadme(t, l.Gateway, gateway)

	curlUntil(ctx, t, l, shell, "http://"+gateway+"/insight/1", "exchange;n=1")
	root := fmt.Sprintf("/proc/%d/root", shell.cmd.Process.Pid)
	var lines []byte
	for deadline := time.Now().Add(recordsWait); !strings.Contains(string(lines), `"match":"exchange"`); time.Sleep(sweepEvery) {
		if lines, err = os.ReadFile(filepath.Join(root, "var/log/fivetuple/calls.jsonl")); time.Now().After(deadline) {
			t.Fatalf("the log of calls: %v: %s\n%s", err, lines, shell.output)
		}
	}
	for _, line := range shell.lines(`"level":"error"`) {
		t.Errorf("logged: %s", line)
	}
}

// serveMatch starts a server that answers with the header x-packet-match that it gets.
func serveMatch(ctx context.Context, t *testing.T, ns *lab.Namespace, address string) *http.Server {
	t.Helper()
	l, err := ns.Listen(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Packet-Match"))
	}), ReadHeaderTimeout: time.Minute}
	go server.Serve(l) //nolint:errcheck // it ends with Close
	return server
}

// startReadme starts a shell in a namespace that runs the README's commands, and then the gateway.
func startReadme(t *testing.T, ns *lab.Namespace, gateway string) *readmeShell {
	t.Helper()
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Before a real APISIX\n")
	_, block, found := strings.Cut(section, "```sh\n")
	commands, _, ends := strings.Cut(block, "```")
	if !found || !ends {
		t.Fatal("README.md has no commands under \"Before a real APISIX\"")
	}
	shell := &readmeShell{output: &output{}, ended: make(chan error, 1)}
	shell.cmd = exec.Command("unshare", "--mount", "bash", "-c", readmeRoot+commands+readmeGateway, "bash", t.TempDir(), repository, gateway)
	shell.cmd.Stdout, shell.cmd.Stderr = shell.output, shell.output
	shell.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := ns.Start(shell.cmd); err != nil {
		t.Fatal(err)
	}
	go func() { shell.ended <- shell.cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-shell.cmd.Process.Pid, syscall.SIGTERM) // the agent, the runner and the gateway
		<-shell.ended
	})
	return shell
}

// readmeShell is what runs in the end: the gateway, and what the README's commands started.
type readmeShell struct {
	*output
	cmd   *exec.Cmd
	ended chan error
}

// curlUntil calls a URL until the answer is the one wanted: agent, runner and gateway start at the same time.
func curlUntil(ctx context.Context, t *testing.T, l *lab.Lab, shell *readmeShell, url, want string) {
	t.Helper()
	for {
		cmd := exec.CommandContext(ctx, program(t, "curl"), "-sS", "--fail", url)
		var answer output
		cmd.Stdout, cmd.Stderr = &answer, &answer
		err := l.Client.Start(cmd)
		if err == nil {
			err = cmd.Wait()
		}
		if err == nil && answer.String() == want {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("curl: %v: %q, want %q\n%s", err, &answer, want, shell.output)
		case err := <-shell.ended:
			shell.ended <- err
			t.Fatalf("the commands ended: %v\n%s", err, shell.output)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
