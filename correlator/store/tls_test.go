//go:build linux

package store_test

import (
	"crypto/tls"
	"os"
	"testing"
	"time"

	"fivetuple/correlator/store"
	redistest "fivetuple/examples/redis"
)

// TestTLS holds what a server has to show, and that files are read anew.
func TestTLS(t *testing.T) {
	c := redistest.NewCertificates(t)
	c.Mutual = true
	s := redistest.Start(t, redistest.Options{TLS: c})
	good := options(s.Address())
	good.TLS = store.TLSOptions{Enabled: true, CAFile: c.CA, CertFile: c.ClientCert, KeyFile: c.ClientKey}
	const answered = "answered"
	const anyError = "" // how it is told depends on who is first to close
	for _, x := range []struct {
		name, want string // what the error has, or answered
		change     func(*store.Options)
	}{
		{"by address", answered, func(*store.Options) {}},
		{"by name", answered, func(o *store.Options) { o.TLS.ServerName = c.ServerName }},
		{"another name", "certificate is valid for redis.test", func(o *store.Options) { o.TLS.ServerName = "other.test" }},
		{"the host's authorities", "unknown authority", func(o *store.Options) { o.TLS.CAFile = "" }},
		{"another authority", "unknown authority", func(o *store.Options) { o.TLS.CAFile = redistest.NewCertificates(t).CA }},
		{"no certificate", anyError, func(o *store.Options) { o.TLS.CertFile, o.TLS.KeyFile = "", "" }},
		{"no encryption", anyError, func(o *store.Options) { o.TLS = store.TLSOptions{} }},
	} {
		t.Run(x.name, func(t *testing.T) {
			o := good
			x.change(&o)
			client, _ := dial(t, o)
			if x.want == answered {
				redistest.Await(t, "an answer", isAnswered(t, client))
				return
			}
			refused(t, client, x.want)
		})
	}
	client, _ := dial(t, good)
	c.Renew(-time.Minute)
	s.ReloadTLS()
	refused(t, client, "expired")
	c.Renew(time.Hour)
	s.ReloadTLS()
	redistest.Await(t, "the new certificate", isAnswered(t, client))
	renewAuthority(t, c, good.TLS.CAFile)
	s.ReloadTLS()
	s.Disconnect()
	redistest.Await(t, "the new authority", isAnswered(t, client))
}

// renewAuthority replaces all files by those of another authority.
func renewAuthority(t *testing.T, c *redistest.Certificates, ca string) {
	t.Helper()
	other := redistest.NewCertificates(t)
	for from, to := range map[string]string{
		other.CA: ca, other.ServerCert: c.ServerCert, other.ServerKey: c.ServerKey, other.ClientCert: c.ClientCert, other.ClientKey: c.ClientKey,
	} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, to, string(text))
	}
}

// TestTLSIsNotOld has a server that knows TLS 1.1 only.
func TestTLSIsNotOld(t *testing.T) {
	c := redistest.NewCertificates(t)
	own, err := tls.LoadX509KeyPair(c.ServerCert, c.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
	}()
	o := options(l.Addr().String())
	o.TLS = store.TLSOptions{Enabled: true, CAFile: c.CA}
	client, _ := dial(t, o)
	refused(t, client, "protocol version")
}
