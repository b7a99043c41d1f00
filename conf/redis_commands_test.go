//go:build linux

package conf

import (
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
)

// names are what gateways write, in one slot and spread.
func names(gateway string) (values, hashes, streams []string) {
	for _, isSpread := range []bool{false, true} {
		k := fleet.NewKeys("f", isSpread)
		values = append(values, k.Who(gateway), k.Flags(gateway), k.Baseline(gateway, 7, baseline.Key{Route: "r:{1}*", Method: "GET"}))
		hashes = append(hashes, k.Figures(gateway, 300, 1200))
		streams = append(streams, k.Events(gateway))
	}
	return values, hashes, streams
}

// writes are all that a gateway does with keys that are its own.
func writes(gateway string) (all []command) {
	values, hashes, streams := names(gateway)
	for _, key := range values {
		all = append(all, command{"SET", key, "v", "EX", 60, "GET"}, command{"EXPIRE", key, 60})
	}
	for _, key := range hashes {
		all = append(all, command{"HSET", key, "route", "v"}, command{"EXPIRE", key, 60}, command{"PEXPIRE", key, 60_000})
	}
	for _, key := range streams {
		all = append(all, command{"XADD", key, "MAXLEN", "~", 100, "*", "v", "{}"})
	}
	return all
}

// reads are what gateways and people ask about a gateway.
func reads(gateway string) (all []command) {
	values, hashes, streams := names(gateway)
	for _, key := range values {
		all = append(all, command{"GETRANGE", key, 0, 99}, command{"STRLEN", key}, command{"MEMORY", "USAGE", key})
	}
	for _, key := range hashes {
		all = append(all, command{"HGETALL", key})
	}
	for _, key := range streams {
		all = append(all, command{"XRANGE", key, "-", "+", "COUNT", 10}, command{"XREVRANGE", key, "+", "-", "COUNT", 10})
	}
	list := fleet.NewKeys("f", false).Gateways()
	return append(all, command{"ZRANGE", list, 0, -1}, command{"ZREVRANGE", list, 0, 10, "WITHSCORES"}, command{"TIME"}, command{"PING"},
		command{"INFO", "server"})
}

// takesOf are ways to change or remove a key without a command that is meant for it.
func takesOf(key, own string) []command {
	return []command{
		{"DEL", key},
		{"UNLINK", key},
		{"GETDEL", key},
		{"GETEX", key, "EX", 1},
		{"EXPIREAT", key, 1},
		{"PEXPIREAT", key, 1},
		{"PERSIST", key},
		{"APPEND", key, "x"},
		{"SETRANGE", key, 0, "x"},
		{"RENAME", own, key},
		{"RENAME", key, own},
		{"COPY", own, key, "REPLACE"},
		{"MOVE", key, 1},
		{"RESTORE", key, 0, "x", "REPLACE"},
		{"XTRIM", key, "MAXLEN", 0},
		{"XDEL", key, "1-1"},
		{"XGROUP", "CREATE", key, "g", "$"},
		{"SORT", own, "STORE", key},
		{"BITOP", "NOT", key, own},
		{"SET", key, "x"},
		{"MSET", own, "x", key, "x"},
		{"TOUCH", key},
		{"EVAL", "return redis.call('SET', KEYS[1], 'x')", 1, key},
		{"MIGRATE", "127.0.0.1", 1, key, 0, 1},
	}
}

// foreign are keys and channels of nobody, of other fleets, and such that look like a's.
func foreign() (all []command) {
	for _, key := range []string{
		"k", "fivetuple:", "fivetuple:{g}:gw:a:who", "fivetuple:{f}:gw:a", "fivetuple:{f}:gw:ab:who", "fivetuple:{f.}:gw:a:who",
		"fivetuple:{f.123}:gw:a:who", "fivetuple:{f}:gw:b:a:who", "fivetuple:{f}:gw:*:who", "x:fivetuple:{f}:gw:a:who",
	} {
		all = append(all, command{"SET", key, "x"})
	}
	for _, key := range []string{"k", "fivetuple:{g}:gw:a:who", "fivetuple:{f.123}:gw:a:who"} {
		all = append(all, command{"GET", key}, command{"GETRANGE", key, 0, 9})
	}
	return append(all, command{"PUBLISH", "fivetuple:{g}:gw:a", "x"}, command{"PUBLISH", "__redis__:invalidate", "x"})
}

// dangerous are commands that nobody needs who only keeps values.
func dangerous() []command {
	return []command{
		{"FLUSHALL"},
		{"FLUSHDB"},
		{"KEYS", "*"},
		{"SCAN", 0},
		{"RANDOMKEY"},
		{"DBSIZE"},
		{"CONFIG", "GET", "*"},
		{"CONFIG", "SET", "maxmemory", 1},
		{"ACL", "WHOAMI"},
		{"ACL", "LIST"},
		{"ACL", "SETUSER", "a", "allkeys"},
		{"CLIENT", "LIST"},
		{"CLIENT", "KILL", "TYPE", "normal"},
		{"CLIENT", "PAUSE", 1},
		{"MONITOR"},
		{"SHUTDOWN"},
		{"REPLICAOF", "NO", "ONE"},
		{"INFO"},
		{"INFO", "all"},
		{"FUNCTION", "FLUSH"},
		{"SCRIPT", "FLUSH"},
		{"CLUSTER", "RESET"},
		{"SLOWLOG", "GET"},
		{"SAVE"},
		{"SWAPDB", 0, 1},
		{"WAIT", 1, 1},
	}
}
