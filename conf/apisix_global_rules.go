package conf

import (
	"errors"
	"fmt"
	"slices"
)

// GlobalRule is a global rule of apisix.yaml, as far as we ship it: its plugins run on every call.
type GlobalRule struct {
	// ID is the rule's name, unique among the rules.
	ID string `koanf:"id"`
	// Plugins are the functions that the rule runs.
	Plugins GlobalPlugins `koanf:"plugins"`
}

// GlobalPlugins is `plugins` of a global rule.
type GlobalPlugins struct {
	PreFunction  ServerlessFunction `koanf:"serverless-pre-function"`
	PostFunction ServerlessFunction `koanf:"serverless-post-function"`
}

// ServerlessFunction is the configuration of one of APISIX's serverless plugins; the zero value stands for none.
type ServerlessFunction struct {
	// Phase is the phase of APISIX in which the functions run.
	Phase string `koanf:"phase"`
	// Functions are Lua texts, each of which returns a function.
	Functions []string `koanf:"functions"`
}

// clearTuple is the Lua function that removes the tuple's header from a request.
const clearTuple = "return function() ngx.req.clear_header('X-Packet-Tuple') end"

// The phases in which it has to run: access for every call that goes on, because the runner has read the header in the rewrite
// phase and whatever sends headers to somebody runs later; header_filter for what loggers send of calls that were
// answered before.
var clearPhases = []string{"access", "header_filter"} //nolint:gochecknoglobals // read only

// validateGlobalRules checks that the tuple is cleared. APISIX runs none of the plugins that two rules configure.
func (f RoutesFile) validateGlobalRules() error {
	var errs []error
	cleared := map[string]bool{}
	ids, plugins := map[string]bool{}, map[string]bool{}
	for i, rule := range f.GlobalRules {
		section := fmt.Sprintf("global_rules[%d]", i)
		if !routeID.MatchString(rule.ID) || ids[rule.ID] {
			errs = append(errs, fmt.Errorf("%s.id: %q is another rule's too, or not 1 to 64 of letters, digits and _.-", section, rule.ID))
		}
		ids[rule.ID] = true
		for _, p := range []struct {
			name string
			ServerlessFunction
		}{
			{"serverless-pre-function", rule.Plugins.PreFunction},
			{"serverless-post-function", rule.Plugins.PostFunction},
		} {
			if p.Phase == "" && len(p.Functions) == 0 {
				continue
			}
			key := section + ".plugins." + p.name
			if plugins[p.name] {
				errs = append(errs, fmt.Errorf("%s: another rule configures this plugin, too: APISIX runs neither of them", key))
			}
			plugins[p.name] = true
			errs = append(errs, oneOf(key+".phase", p.Phase, clearPhases...))
			if slices.Contains(p.Functions, clearTuple) {
				cleared[p.Phase] = true
			}
		}
	}
	for _, phase := range clearPhases {
		if !cleared[phase] {
			errs = append(errs, fmt.Errorf("global_rules: no rule runs %q in the phase %s: X-Packet-Tuple would reach third parties", clearTuple, phase))
		}
	}
	return errors.Join(errs...)
}
