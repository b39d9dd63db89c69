package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// config is what a verb was told, by flag, configuration file and environment,
// in this order of precedence. notes are for the log: what was
// skipped or has no effect.
type config struct {
	verb   string
	values map[string][]string
	notes  []string
}

func (c *config) list(name string) []string { return c.values[name] }

// str is a flag's value, its last one where it was given several times.
func (c *config) str(name string) string {
	values := c.values[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

func (c *config) boolean(name string) bool {
	value, _ := strconv.ParseBool(c.str(name)) // checked when it was read
	return value
}

// loadConfig reads flags, files and environment. Its errors are k3s's where k3s has
// one, and say stand-in where something real is not played.
func loadConfig(verb string, args, environ []string) (*config, error) {
	table := flagsOf(verb)
	flags, err := parseArgs(table, args)
	if err == nil && verb != "etcd-snapshot" && len(flags[positional]) > 0 {
		err = fmt.Errorf("unexpected argument %q", flags[positional][0])
	}
	if err != nil {
		return nil, fmt.Errorf("Incorrect Usage: %w", err)
	}
	cfg := &config{verb: verb, values: map[string][]string{}}
	if err := cfg.mergeFiles(table, flags["config"]); err != nil {
		return nil, err
	}
	for name, values := range flags { // a flag replaces the file's whole list
		cfg.values[name] = values
	}
	for _, entry := range environ {
		variable, value, _ := strings.Cut(entry, "=")
		name := environment[variable]
		if _, known := table[name]; known && value != "" && len(cfg.values[name]) == 0 {
			cfg.values[name] = []string{value}
		}
	}
	if err := cfg.refuseUnplayed(); err != nil {
		return nil, err
	}
	if verb != "etcd-snapshot" { // the server's keys in the file are not this verb's
		cfg.noteWithoutEffect(table)
	}
	return cfg, nil
}

// positional is where parseArgs puts arguments that are no flags.
const positional = ""

// parseArgs reads a command line. An unknown flag ends k3s; in a file it does not.
func parseArgs(table map[string]flag, args []string) (map[string][]string, error) {
	values := map[string][]string{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		name = firstOf(aliases[name], name)
		known, isKnown := table[name]
		if !strings.HasPrefix(arg, "-") {
			values[positional] = append(values[positional], arg)
			continue
		}
		if !isKnown {
			return nil, fmt.Errorf("flag provided but not defined: -%s", name)
		}
		switch {
		case hasValue:
		case known.kind == boolean:
			value = "true"
		case len(args) == 0:
			return nil, fmt.Errorf("flag needs an argument: -%s", name)
		default:
			value, args = args[0], args[1:]
		}
		if err := known.check(name, value); err != nil {
			return nil, err
		}
		values[name] = append(values[name], value)
	}
	return values, nil
}

func (f flag) check(name, value string) error {
	if _, err := strconv.ParseBool(value); f.kind == boolean && err != nil {
		return fmt.Errorf("invalid boolean value %q for -%s", value, name)
	}
	return nil
}

// mergeFiles reads config.yaml, then config.yaml.d/*.yaml by name. The last value of
// a key wins; "key+" appends to what came before.
func (c *config) mergeFiles(table map[string]flag, named []string) error {
	path := configFile
	if len(named) > 0 {
		path = named[len(named)-1]
	}
	dropIns, err := filepath.Glob(path + ".d/*.yaml")
	if err != nil {
		return err
	}
	for _, file := range append([]string{path}, dropIns...) {
		content, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) && len(named) == 0 {
			continue
		}
		if err != nil {
			return err
		}
		if err := c.mergeYAML(table, content); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// mergeYAML merges one file's flat mapping of scalars and lists.
func (c *config) mergeYAML(table map[string]flag, content []byte) error {
	var document map[string]yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(document)) {
		name, appends := strings.CutSuffix(key, "+")
		name = firstOf(aliases[name], name)
		known, isKnown := table[name]
		if !isKnown {
			// k3s only warns: a mistyped key is a setting that silently is not there.
			c.notes = append(c.notes, fmt.Sprintf("Unknown flag --%s found in config.yaml, skipping", name))
			continue
		}
		node := document[key]
		values, err := scalars(name, &node)
		if err != nil {
			return err
		}
		for _, value := range values {
			if err := known.check(name, value); err != nil {
				return err
			}
		}
		if appends {
			values = append(slices.Clone(c.values[name]), values...)
		}
		c.values[name] = values
	}
	return nil
}

// scalars flattens a YAML value into the texts a command line would have carried.
func scalars(name string, node *yaml.Node) ([]string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		if node.ShortTag() == "!!null" {
			return nil, nil
		}
		return []string{node.Value}, nil
	case yaml.SequenceNode:
		var values []string
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("%s: line %d: found a nested value, expected a list of plain values", name, item.Line)
			}
			values = append(values, item.Value)
		}
		return values, nil
	}
	return nil, fmt.Errorf("%s: line %d: found a mapping, expected a plain value or a list", name, node.Line)
}

// refuseUnplayed stops at options that would make a cluster of another shape.
func (c *config) refuseUnplayed() error {
	if dir := c.str("data-dir"); dir == dataDir || dir == dataDir+"/" {
		delete(c.values, "data-dir")
	}
	if c.str("https-listen-port") == "6443" {
		delete(c.values, "https-listen-port")
	}
	for _, name := range refusals() {
		value := c.str(name)
		if value == "" || value == "false" {
			continue
		}
		return fmt.Errorf("k3s stand-in: %s is not played: found %q, expected it unset (sqlite or embedded etcd, %s, port 6443); rehearse this on a real k3s", name, value, dataDir)
	}
	return nil
}

// noteWithoutEffect names the accepted options that change nothing here.
func (c *config) noteWithoutEffect(table map[string]flag) {
	for _, name := range slices.Sorted(maps.Keys(c.values)) {
		if known := table[name]; !known.played && len(c.values[name]) > 0 {
			c.notes = append(c.notes, fmt.Sprintf("stand-in: --%s is accepted and has no effect here", name))
		}
	}
}
