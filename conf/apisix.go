package conf

import (
	_ "embed"
	"slices"
)

//go:embed apisix/config.yaml
var apisixConfig []byte

//go:embed apisix/apisix.yaml
var apisixRoutes []byte

// The embedded files' names in messages.
const (
	apisixConfigName = "conf/apisix/config.yaml"
	apisixRoutesName = "conf/apisix/apisix.yaml"
)

// APISIXConfig returns the text of the shipped config.yaml of APISIX.
func APISIXConfig() []byte { return slices.Clone(apisixConfig) }

// APISIXRoutesFile returns the text of the shipped apisix.yaml.
func APISIXRoutesFile() []byte { return slices.Clone(apisixRoutes) }

// APISIXGateway returns the shipped config.yaml, read and checked.
func APISIXGateway() (Gateway, error) { return ParseAPISIXConfig(apisixConfigName, apisixConfig) }

// APISIXRoutes returns the shipped apisix.yaml, read and checked.
func APISIXRoutes() (RoutesFile, error) { return ParseAPISIXRoutes(apisixRoutesName, apisixRoutes) }
