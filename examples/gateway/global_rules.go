package gateway

import (
	"errors"
	"fmt"
	"regexp"
)

// globalPhase is a phase of APISIX in which the stand-in runs the functions of global rules.
type globalPhase string

const (
	phaseRewrite      globalPhase = "rewrite"
	phaseAccess       globalPhase = "access"
	phaseHeaderFilter globalPhase = "header_filter"
)

// globalRules holds, for each phase, the functions that run on every call, in the order in which APISIX runs them.
type globalRules map[globalPhase][]luaFunction

// luaFunction is a Lua function that the stand-in plays: it clears request headers.
type luaFunction struct{ clears []string }

// What follows mirrors the file; a key that is not here is refused.
type (
	globalRuleEntry struct {
		ID      identifier         `yaml:"id"`
		Plugins globalPluginsEntry `yaml:"plugins"`
	}
	globalPluginsEntry struct {
		Pre  *serverlessEntry `yaml:"serverless-pre-function"`  // priority 10000
		Post *serverlessEntry `yaml:"serverless-post-function"` // priority -2000
	}
	serverlessEntry struct {
		Phase     text   `yaml:"phase"` // access if it is not given
		Functions []text `yaml:"functions"`
	}
)

// serverless is one of the two plugins, as a rule configures it.
type serverless struct {
	path  string // of its key in the file
	entry *serverlessEntry
}

// loadGlobalRules reads global_rules. APISIX merges all rules and runs their plugins by priority. It runs none of the
// plugins that two rules configure, and only logs that: here it is an error.
func loadGlobalRules(f *yamlFile, entries []globalRuleEntry) (globalRules, error) {
	var pre, post serverless
	for i, e := range entries {
		path := fmt.Sprintf("$.global_rules[%d]", i)
		if !routeID.MatchString(string(e.ID)) {
			return nil, f.wrong(path+".id", fmt.Sprintf("%q is not a rule id: 1 to 64 of A-Z a-z 0-9 _ . -", e.ID))
		}
		path += ".plugins."
		if err := pre.take(f, serverless{path + "serverless-pre-function", e.Plugins.Pre}); err != nil {
			return nil, err
		}
		if err := post.take(f, serverless{path + "serverless-post-function", e.Plugins.Post}); err != nil {
			return nil, err
		}
	}
	rules := globalRules{}
	return rules, errors.Join(rules.add(f, pre), rules.add(f, post))
}

// take keeps what a rule gives, if it gives anything.
func (s *serverless) take(f *yamlFile, given serverless) error {
	switch {
	case given.entry == nil:
		return nil
	case s.entry != nil:
		return f.wrong(given.path, "another global rule configures this plugin, too: APISIX would run neither of them")
	}
	*s = given
	return nil
}

func (r globalRules) add(f *yamlFile, s serverless) error {
	if s.entry == nil {
		return nil
	}
	phase := globalPhase(s.entry.Phase)
	switch phase {
	case "":
		phase = phaseAccess
	case phaseRewrite, phaseAccess, phaseHeaderFilter:
	default:
		return f.wrong(s.path+".phase", fmt.Sprintf("%q: the stand-in plays rewrite, access and header_filter only", phase))
	}
	if len(s.entry.Functions) == 0 {
		return f.wrong(s.path+".functions", "at least one function is required")
	}
	for i, code := range s.entry.Functions {
		function, err := parseLua(string(code))
		if err != nil {
			return f.wrong(fmt.Sprintf("%s.functions[%d]", s.path, i), err.Error())
		}
		r[phase] = append(r[phase], function)
	}
	return nil
}

var (
	luaShape = regexp.MustCompile(`^\s*return\s+function\s*\(\s*(?:\w+\s*(?:,\s*\w+\s*)?)?\)\s+` +
		`((?:ngx\.req\.clear_header\(\s*(?:'[^'"\\\s]+'|"[^'"\\\s]+")\s*\)\s*;?\s*)+)end\s*;?\s*$`)
	luaClear = regexp.MustCompile(`ngx\.req\.clear_header\(\s*['"]([^'"]+)['"]\s*\)`)

	errLua = errors.New("the stand-in plays no other Lua than return function() ngx.req.clear_header('NAME') end")
)

// parseLua reads the text of a function. There is no Lua here: every other text is an error.
func parseLua(code string) (luaFunction, error) {
	shape := luaShape.FindStringSubmatch(code)
	if shape == nil {
		return luaFunction{}, fmt.Errorf("%w, got %q", errLua, code)
	}
	var function luaFunction
	for _, m := range luaClear.FindAllStringSubmatch(shape[1], -1) {
		if !validName(m[1]) {
			return luaFunction{}, fmt.Errorf("%w, got %q", errLua, code)
		}
		function.clears = append(function.clears, m[1])
	}
	return function, nil
}

// runGlobal runs the functions of the global rules in a phase. It runs on calls without a route, too.
func (c *call) runGlobal(phase globalPhase) {
	for _, function := range c.gateway.global[phase] {
		for _, name := range function.clears {
			c.headers = c.headers.set(name, "")
		}
	}
}
