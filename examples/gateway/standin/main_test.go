package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
)

func TestRunEndsWithItsContext(t *testing.T) {
	f := writeFiles(t, "routes: []\n#END\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, f, zerolog.Nop()); err != nil {
		t.Error(err)
	}
}

func TestRunRefusesWrongFilesAndAddresses(t *testing.T) {
	good := writeFiles(t, "routes: []\n#END\n")
	address, cert, missing := good, good, good
	address.listen = "127.0.0.1:none"
	cert.listenTLS = "127.0.0.1:0"
	missing.apisix += ".none"
	for name, f := range map[string]flags{
		"routes": writeFiles(t, "routes: []\n"), "address": address, "no certificate": cert, "no file": missing,
	} {
		if err := run(t.Context(), f, zerolog.Nop()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func writeFiles(t *testing.T, routes string) flags {
	t.Helper()
	dir := t.TempDir()
	f := flags{
		apisix: filepath.Join(dir, "apisix.yaml"), config: filepath.Join(dir, "config.yaml"),
		listen: "127.0.0.1:0", workers: 1,
	}
	if err := os.WriteFile(f.apisix, []byte(routes), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}
