package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"fivetuple/conf/safefile"
)

// keepAlive finds a peer that is gone without a word within some 30 s, where nothing is sent: a subscriber only reads.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// dial makes a connection whose replies are checked. It makes all connections: to servers, Sentinels and the nodes of a Cluster.
func (o Options) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := o.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return checked(conn), nil
}

// connect makes a connection, encrypted if it has to be, within the timeout. go-redis would leave a handshake to itself when the
// context ends, and would not read the files again.
func (o Options) connect(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: keepAlive()}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil || !o.TLS.Enabled {
		return conn, err
	}
	config, err := o.TLS.config()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if config.ServerName == "" {
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	encrypted := tls.Client(conn, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("shake hands with %s: %w", address, err)
	}
	return encrypted, nil
}

// maxPEM is the largest file of certificates that is read, in bytes.
const maxPEM = 4 << 20

func keyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, certErr := safefile.Read(certFile, maxPEM)
	key, keyErr := safefile.Read(keyFile, maxPEM)
	if err := errors.Join(certErr, keyErr); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// config reads the files. Its errors name the setting.
func (o TLSOptions) config() (*tls.Config, error) {
	c := &tls.Config{ServerName: o.ServerName, MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		text, err := safefile.Read(o.CAFile, maxPEM)
		if err != nil {
			return nil, fmt.Errorf("redis.tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("redis.tls.ca_file: %s: no certificate in it", o.CAFile)
		}
	}
	if o.CertFile != "" {
		own, err := keyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("redis.tls.cert_file and key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}
