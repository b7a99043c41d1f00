package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/rs/zerolog"
)

const (
	// clientName is what CLIENT LIST shows.
	clientName = "fivetuple"
	// poolSize bounds the connections to a server, besides one for a subscription.
	poolSize = 4
)

// Dial returns a client for Redis as the settings say; it makes no connection yet. It fails where the settings are wrong, or a
// file or a variable that they name cannot be read at this moment; it may be called again. Files are read anew at each connection
// (but for the Sentinels' password), so that what is wrong with them later heals by itself.
//
// The client gives up at the first error: who writes knows what to try again. What go-redis logs goes to log, from all its clients.
func Dial(o Options, log zerolog.Logger) (redis.UniversalClient, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("dial redis: %w", err)
	}
	if len(o.Addresses) == 0 {
		return nil, errors.New("dial redis: no addresses")
	}
	s := &secrets{}
	options, err := o.universal(s)
	if err != nil {
		return nil, fmt.Errorf("dial redis: %w", err)
	}
	redis.SetLogger(newLogger(log, s))
	client := o.client(options, s)
	client.AddHook(s)
	return client, nil
}

func (o Options) client(options *redis.UniversalOptions, s *secrets) redis.UniversalClient {
	switch o.Mode {
	case ModeCluster:
		c := redis.NewClusterClient(options.Cluster())
		c.OnNewNode(func(node *redis.Client) { node.AddHook(s) }) // a subscription is a node's
		return c
	default:
		return redis.NewClient(options.Simple())
	}
}

func (o Options) universal(s *secrets) (*redis.UniversalOptions, error) {
	if _, err := o.credentials(s); err != nil {
		return nil, err
	}
	sentinel, err := password("sentinel.", o.Sentinel.PasswordFile, o.Sentinel.PasswordEnv)
	if err != nil {
		return nil, err
	}
	s.add(sentinel)
	if _, err := o.TLS.config(); err != nil {
		return nil, err
	}
	options := o.base()
	options.DB = o.Database
	options.CredentialsProviderContext = func(context.Context) (string, string, error) {
		secret, err := o.credentials(s)
		return o.Username, secret, err
	}
	if o.Mode == ModeSentinel {
		options.Dialer = (&sentinels{o: o, password: sentinel, conns: map[*primaryConn]struct{}{}}).dial
	}
	return options, nil
}

// base are the options of all clients.
func (o Options) base() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs: o.Addresses, ClientName: clientName, Dialer: o.dial, Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		DialTimeout:              o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, ContextTimeoutEnabled: true,
		MaxRetries: -1, DialerRetries: 1, PoolSize: poolSize, PipelinePoolSize: -1, PoolTimeout: o.Timeout,
	}
}

// credentials reads the password.
func (o Options) credentials(s *secrets) (string, error) {
	secret, err := password("", o.PasswordFile, o.PasswordEnv)
	s.add(secret)
	return secret, err
}
