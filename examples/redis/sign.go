//go:build linux

package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"testing"
	"time"
)

// template is valid from a day ago on, which leaves room for one that has ended. Names differ: OpenSSL takes a certificate whose
// subject is its issuer for one that has signed itself.
func (c *Certificates) template(name string, ends time.Duration) *x509.Certificate {
	c.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		c.t.Fatal(err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(ends), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// sign writes a certificate, and its key unless that path is empty.
func (c *Certificates) sign(template *x509.Certificate, key *ecdsa.PrivateKey, certPath, keyPath string) {
	c.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, c.signer, &key.PublicKey, c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	if template == c.signer {
		if c.signer, err = x509.ParseCertificate(der); err != nil {
			c.t.Fatal(err)
		}
	}
	c.writePEM(certPath, "CERTIFICATE", der)
	if keyPath == "" {
		return
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	c.writePEM(keyPath, "PRIVATE KEY", text)
}

func (c *Certificates) writePEM(path, kind string, der []byte) {
	c.t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
