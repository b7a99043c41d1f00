package captures_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fivetuple/examples/evaluate/captures"
)

func TestManifest(t *testing.T) {
	folder := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(folder, captures.ManifestName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("source\tfile\ttags\tshows\nx\ta.pcap\tattack,slowloris,eth\tslow\nx\tb.pcap\thttp1, eth\tcalm\nx\tc.pcap\tfuzz,http1\todd\n")
	all, err := captures.Read(folder)
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	for i, want := range []captures.Label{captures.Attack, captures.Ordinary, captures.Odd} {
		if all[i].Label != want {
			t.Errorf("%s: label %d, want %d", all[i].Name, all[i].Label, want)
		}
	}
	if got := all[0].Kind(); got != "slow-headers" {
		t.Errorf("kind %q", got)
	}
	for _, text := range []string{"", "file\tkind\na\tb\n", "file\ttags\n", "file\ttags\n../a.pcap\tattack\n", "file\ttags\na.pcap\n"} {
		write(text)
		if _, err := captures.Read(folder); !errors.Is(err, captures.ErrManifest) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
