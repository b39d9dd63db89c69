package gpu

import (
	"errors"
	"flag"
	"fmt"
	"os"

	spec "github.com/NVIDIA/k8s-device-plugin/api/config/v1"
	"github.com/urfave/cli/v2"
)

// Env is what the operator sets in a container's environment and what wins over the sharing file.
type Env struct {
	MIGStrategy      string // MIG_STRATEGY, "" when unset
	MPSRoot          string // MPS_ROOT, "" when unset
	DeviceIDStrategy string // DEVICE_ID_STRATEGY, "" when unset
}

// ParseConfig makes of a sharing file what NVIDIA's code makes of it: parsed by NVIDIA's own parser
// (k8s-device-plugin, api/config/v1), environment applied, renaming and device selection dropped. An error has
// the plugin's own words. An empty text is the plugin without a file.
func ParseConfig(text string, env Env) (*spec.Config, error) {
	config, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("unable to load config: unable to finalize config: %w", err)
	}
	if env.MIGStrategy != "" {
		config.Flags.MigStrategy = &env.MIGStrategy
	}
	if config.Flags.MigStrategy == nil {
		none := spec.MigStrategyNone
		config.Flags.MigStrategy = &none
	}
	if env.MPSRoot != "" {
		config.Flags.MpsRoot = &env.MPSRoot
	}
	if env.DeviceIDStrategy != "" {
		if config.Flags.Plugin == nil {
			config.Flags.Plugin = &spec.PluginCommandLineFlags{}
		}
		config.Flags.Plugin.DeviceIDStrategy = &env.DeviceIDStrategy
	}
	spec.DisableResourceNamingInConfig(config)
	return config, nil
}

// ValidatePlugin repeats the device plugin's checks of a parsed file that depend on the environment.
func ValidatePlugin(config *spec.Config) error {
	if plugin := config.Flags.Plugin; plugin != nil && plugin.DeviceIDStrategy != nil {
		if id := *plugin.DeviceIDStrategy; id != spec.DeviceIDStrategyUUID && id != spec.DeviceIDStrategyIndex {
			return fmt.Errorf("unable to validate flags: invalid --device-id-strategy option: %v", id)
		}
	}
	if config.Sharing.SharingStrategy() == spec.SharingStrategyMPS {
		if *config.Flags.MigStrategy == spec.MigStrategyMixed {
			return errors.New("unable to validate flags: using --mig-strategy=mixed is not supported with MPS")
		}
		if config.Flags.MpsRoot == nil || *config.Flags.MpsRoot == "" {
			return errors.New("unable to validate flags: using MPS requires --mps-root to be specified")
		}
	}
	switch strategy := *config.Flags.MigStrategy; strategy {
	case spec.MigStrategyNone, spec.MigStrategySingle, spec.MigStrategyMixed:
		return nil
	default:
		return fmt.Errorf("unable to validate flags: unknown MIG strategy: %v", strategy)
	}
}

// parse goes through a file because the parser's only public entrance takes a file's name.
func parse(text string) (*spec.Config, error) {
	if text == "" {
		return &spec.Config{Version: spec.Version}, nil
	}
	file, err := os.CreateTemp("", "gpusim-*.yaml")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	if _, err = file.WriteString(text); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err = file.Close(); err != nil {
		return nil, err
	}
	flags := flag.NewFlagSet("plugin", flag.ContinueOnError)
	flags.String("config-file", file.Name(), "")
	return spec.NewConfig(cli.NewContext(cli.NewApp(), flags, nil), nil)
}
