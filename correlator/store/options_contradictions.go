package store

import "fmt"

// contradictions are settings that are right by themselves, but not together: one of them was forgotten, or does nothing.
func (o Options) contradictions() []error {
	errs := append(o.contradictMode(), o.contradictTLS()...)
	errs = append(errs, contradictPassword("", o.Username, o.PasswordFile, o.PasswordEnv)...)
	return append(errs, contradictPassword("sentinel.", o.Sentinel.Username, o.Sentinel.PasswordFile, o.Sentinel.PasswordEnv)...)
}

func (o Options) contradictMode() (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Mode == ModeSentinel && o.Master == "" {
		add("master: %q with redis.mode %s, which needs the primary's name", o.Master, o.Mode)
	}
	if o.Mode != ModeSentinel && o.Master != "" {
		add("master: %q with redis.mode %s: only Sentinels know names", o.Master, o.Mode)
	}
	if o.Mode == ModeCluster && o.Database != 0 {
		add("database: %d with redis.mode %s, which has 0 only", o.Database, o.Mode)
	}
	if o.Mode == ModeSingle && len(o.Addresses) > 1 {
		add("addresses: %d given with redis.mode %s, which has one", len(o.Addresses), o.Mode)
	}
	s := o.Sentinel
	for _, set := range []setting{
		{"username", s.Username}, {"password_file", s.PasswordFile}, {"password_env", s.PasswordEnv},
	} {
		if o.Mode != ModeSentinel && set.value != "" {
			add("sentinel.%s: %q with redis.mode %s", set.key, set.value, o.Mode)
		}
	}
	return errs
}

func (o Options) contradictTLS() (errs []error) {
	if !o.TLS.Enabled {
		for _, s := range append(o.TLS.files(), setting{"tls.server_name", o.TLS.ServerName}) {
			if s.value != "" {
				errs = append(errs, fmt.Errorf("%s: %q with redis.tls.enabled false", s.key, s.value))
			}
		}
	}
	if (o.TLS.CertFile == "") != (o.TLS.KeyFile == "") {
		errs = append(errs, fmt.Errorf("tls.cert_file: %q with redis.tls.key_file %q: both or none", o.TLS.CertFile, o.TLS.KeyFile))
	}
	return errs
}

func contradictPassword(section, username, file, env string) (errs []error) {
	if file != "" && env != "" {
		errs = append(errs, fmt.Errorf("%spassword_file: %q with redis.%spassword_env %q: one of them", section, file, section, env))
	}
	if username != "" && file == "" && env == "" {
		errs = append(errs, fmt.Errorf("%susername: %q without redis.%spassword_file and redis.%spassword_env", section, username, section, section))
	}
	return errs
}
