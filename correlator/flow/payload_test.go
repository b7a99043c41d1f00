package flow

import "testing"

func TestClassify(t *testing.T) {
	for first, want := range map[string]Payload{
		"":                                 PayloadNone,
		"GET / HTTP/1.1\r\n":               PayloadHTTP1,
		"GET ":                             PayloadHTTP1,
		"\r\nPOST /x HTTP/":                PayloadHTTP1,
		"M-SEARCH * HTTP/":                 PayloadHTTP1,
		"PRI * HTTP/1.1\r\n":               PayloadHTTP1,
		"VERYLONGMETHODNA":                 PayloadHTTP1, // no space yet
		"PRI * HTTP/2.0\r\n":               PayloadHTTP2,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": PayloadHTTP2,
		"\x16\x03\x01\x02\x00\x01":         PayloadTLS,
		"\x16\x03\x03":                     PayloadTLS,
		"PROXY TCP4 192.0":                 PayloadProxyV1,
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11":   PayloadProxyV2,
		"GET":                              PayloadMethod, // ends before its space
		"OPTIONS":                          PayloadMethod,
		"GETAGAIN":                         PayloadOther,
		"get":                              PayloadOther,
		"HTTP/1.1 101":                     PayloadSwitched,
		"HTTP/1.1 101 Swi":                 PayloadSwitched,
		"HTTP/1.1 10":                      PayloadOther,
		"\r\n\r\n":                         PayloadOther,
		" GET / HTTP/1.1":                  PayloadOther,
		"G(T / HTTP/1.1\r\n":               PayloadOther,
		"SSH-2.0-OpenSSH_":                 PayloadHTTP1, // a token of 16 characters, as far as anyone can see
		"SSH-2.0-x\r\n":                    PayloadOther,
		"HTTP/1.1 200 OK\r":                PayloadOther,
		"\x16\x02\x00":                     PayloadOther,
		"\x17\x03\x03":                     PayloadOther,
		"\x16\x03":                         PayloadOther,
		"\x00\x00\x12\x04\x00":             PayloadOther,
	} {
		if got := Classify([]byte(first)); got != want {
			t.Errorf("%q: got %d, want %d", first, got, want)
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{"", "GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n", "\x16\x03\x01", "PROXY ", "\r\n\r\n\x00\r\nQUIT\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Classify(b)
		if (got == PayloadNone) != (len(b) == 0) || got > PayloadSwitched {
			t.Errorf("%q: %d", b, got)
		}
		// More bytes do not change what 16 have shown, other than by a request line that turns out to be none.
		if len(b) > 16 && got != PayloadHTTP1 && got != PayloadOther && Classify(b[:16]) != got {
			t.Errorf("%q: %d, its first 16 bytes: %d", b, got, Classify(b[:16]))
		}
	})
}
