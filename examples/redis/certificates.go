//go:build linux

package redistest

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are an authority, and what it has signed for servers and for clients, as PEM files.
type Certificates struct {
	// CA, ServerCert, ServerKey, ClientCert and ClientKey are paths.
	CA, ServerCert, ServerKey, ClientCert, ClientKey string
	// ServerName is the name that the server's certificate has, besides 127.0.0.1 and what was given.
	ServerName string
	// Mutual demands a certificate of clients; set it before the server starts.
	Mutual bool

	t      testing.TB
	hosts  []net.IP
	key    *ecdsa.PrivateKey
	signer *x509.Certificate
}

// NewCertificates makes an authority and certificates that are valid now. Servers may listen on loopback and on hosts.
func NewCertificates(t testing.TB, hosts ...string) *Certificates {
	t.Helper()
	dir := t.TempDir()
	c := &Certificates{
		t: t, ServerName: "redis.test", CA: filepath.Join(dir, "ca.pem"),
		ServerCert: filepath.Join(dir, "server.pem"), ServerKey: filepath.Join(dir, "server.key"),
		ClientCert: filepath.Join(dir, "client.pem"), ClientKey: filepath.Join(dir, "client.key"),
		hosts: []net.IP{net.IPv4(127, 0, 0, 1)}, key: newKey(t),
	}
	for _, h := range hosts {
		c.hosts = append(c.hosts, net.ParseIP(h))
	}
	c.signer = c.template("authority", time.Hour)
	c.signer.IsCA, c.signer.BasicConstraintsValid, c.signer.KeyUsage = true, true, x509.KeyUsageCertSign
	c.sign(c.signer, c.key, c.CA, "")
	c.Renew(time.Hour)
	client := c.template("client", time.Hour)
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	c.sign(client, newKey(t), c.ClientCert, c.ClientKey)
	return c
}

// Renew signs a certificate for servers that ends so long from now, or has ended if that is below 0. A server that runs takes it
// at ReloadTLS.
func (c *Certificates) Renew(ends time.Duration) {
	c.t.Helper()
	server := c.template("server", ends)
	server.DNSNames, server.IPAddresses = []string{c.ServerName}, c.hosts
	// Servers are each other's clients: replicas, nodes of a Cluster.
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c.sign(server, newKey(c.t), c.ServerCert, c.ServerKey)
}

// ReloadTLS has the server read its certificate again, for connections to come.
func (s *Server) ReloadTLS() {
	s.t.Helper()
	s.Set("tls-cert-file", s.options.TLS.ServerCert)
}

// Client returns what a client of these servers needs.
func (c *Certificates) Client() *tls.Config {
	c.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(c.signer)
	own, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
	if err != nil {
		c.t.Fatal(err)
	}
	return &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{own}, ServerName: c.ServerName, MinVersion: tls.VersionTLS12,
		// An expired certificate must not keep the rig from its server.
		Time: func() time.Time { return c.signer.NotBefore.Add(time.Minute) },
	}
}

// over encrypts a connection.
func (c *Certificates) over(ctx context.Context, conn net.Conn) (net.Conn, error) {
	encrypted := tls.Client(conn, c.Client())
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return encrypted, nil
}

// config are the lines of redis.conf.
func (c *Certificates) config(port int) []string {
	clients := "optional"
	if c.Mutual {
		clients = "yes"
	}
	return []string{
		"port 0", fmt.Sprintf("tls-port %d", port), "tls-ca-cert-file " + c.CA, "tls-cert-file " + c.ServerCert,
		"tls-key-file " + c.ServerKey, "tls-auth-clients " + clients, "tls-replication yes", "tls-cluster yes",
	}
}
