package gpu

import (
	"errors"
	"fmt"
	"strings"

	spec "github.com/NVIDIA/k8s-device-plugin/api/config/v1"
)

const fullGPU = spec.ResourceName("nvidia.com/gpu")

// devices returns what the device plugin finds before it shares: resource name to number of cards or partitions.
func devices(machine Machine, strategy string) map[spec.ResourceName]int {
	found := map[spec.ResourceName]int{}
	if machine.Count == 0 {
		return found
	}
	if len(machine.MIG) == 0 || strategy == spec.MigStrategyNone {
		found[fullGPU] = machine.Count
		return found
	}
	for profile, number := range machine.MIG {
		name := fullGPU
		if strategy == spec.MigStrategyMixed {
			name = migResource(profile)
		}
		found[name] += machine.Count * number
	}
	return found
}

// migResource names the partitions of a MIG profile under the strategy mixed.
func migResource(profile string) spec.ResourceName {
	return spec.ResourceName("nvidia.com/mig-" + strings.ReplaceAll(profile, "+", "."))
}

// Resources returns what the device plugin registers on this machine: resource name to number of devices.
// A resource of the file that the machine does not have (MIG slices while MIG is off) is skipped without a word,
// as the plugin does. Of two entries with one name the larger number of replicas counts: replicas are numbered.
func Resources(machine Machine, config *spec.Config) map[string]int {
	offered := map[string]int{}
	for name, number := range devices(machine, *config.Flags.MigStrategy) {
		replicas := map[spec.ResourceName]int{}
		for _, resource := range config.Sharing.ReplicatedResources().Resources {
			if resource.Name != name {
				continue
			}
			shared := name
			if resource.Rename != "" {
				shared = resource.Rename
			}
			replicas[shared] = max(replicas[shared], resource.Replicas)
		}
		if len(replicas) == 0 {
			replicas[name] = 1
		}
		for shared, count := range replicas {
			offered[string(shared)] = number * count
		}
	}
	return offered
}

// ValidateDevices repeats the device plugin's refusals that depend on how the cards are cut.
func ValidateDevices(machine Machine, config *spec.Config) error {
	if len(machine.MIG) == 0 || machine.Count == 0 {
		return nil
	}
	strategy := *config.Flags.MigStrategy
	if strategy == spec.MigStrategySingle && len(machine.MIG) > 1 {
		return errors.New("invalid MIG configuration: more than one MIG device type present on node")
	}
	if strategy != spec.MigStrategyNone && config.Sharing.SharingStrategy() == spec.SharingStrategyMPS {
		return errors.New("sharing using MPS is not supported for MIG devices")
	}
	return nil
}

// ValidateRequest repeats the device plugin's answer to a pod that asks for so many devices of one resource: an
// error in its words where the resource is shared and greater requests fail.
func ValidateRequest(config *spec.Config, resource string, count int) error {
	shared := config.Sharing.ReplicatedResources()
	if count <= 1 || !shared.FailRequestsGreaterThanOne {
		return nil
	}
	for _, one := range shared.Resources {
		if string(one.Name) == resource && one.Rename == "" || string(one.Rename) == resource {
			return fmt.Errorf("invalid allocation request for %q: invalid request: "+
				"maximum request size for shared resources is 1; found %d", resource, count)
		}
	}
	return nil
}
