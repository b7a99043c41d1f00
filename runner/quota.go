package main

import (
	"github.com/spf13/cobra"

	"fivetuple/correlator/store"
)

// newQuotaCommand returns the command that keeps the members of a fleet to their shares of Redis' memory.
func (a *app) newQuotaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "quota",
		Short: "Keep each gateway to its share of Redis' memory",
		Long: "Measure what each gateway has in Redis (the setting redis.addresses), and remove what is beyond its share: three quarters\n" +
			"of maxmemory, divided by the gateways. A gateway that goes on, or writes keys without a time to live, is cut off: its user\n" +
			"is switched off until the ACL is loaded anew. Requires the rights of conf/redis/keeper.acl. Runs until it is interrupted.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			if len(c.Redis.Addresses) == 0 {
				return errNoRedis
			}
			out := openLog(cmd.ErrOrStderr(), c.Log)
			defer out.close()
			log := out.With().Str("part", "quota").Logger()
			client, err := store.Dial(c.Redis, log)
			if err != nil {
				return err
			}
			m := new(store.Meter)
			m.Attach(client)
			log.Info().Strs("redis", c.Redis.Addresses).Msg("measuring what gateways have in redis")
			store.NewQuota(client, m, log).Run(cmd.Context())
			return client.Close()
		},
	}
}
