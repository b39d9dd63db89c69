package gpu

import spec "github.com/NVIDIA/k8s-device-plugin/api/config/v1"

const fullGPU = spec.ResourceName("nvidia.com/gpu")

// Resources returns what the device plugin registers on this machine: resource name to number of devices.
// A resource of the file that the machine does not have (MIG slices while MIG is off) is skipped without a word,
// as the plugin does. Of two entries with one name the larger number of replicas counts: replicas are numbered.
func Resources(machine Machine, config *spec.Config) map[string]int {
	if machine.Count == 0 {
		return map[string]int{}
	}
	names := map[spec.ResourceName]int{}
	for _, resource := range config.Sharing.ReplicatedResources().Resources {
		if resource.Name != fullGPU {
			continue
		}
		name := resource.Name
		if resource.Rename != "" {
			name = resource.Rename
		}
		names[name] = max(names[name], resource.Replicas)
	}
	if len(names) == 0 {
		names[fullGPU] = 1
	}
	offered := map[string]int{}
	for name, replicas := range names {
		offered[string(name)] = machine.Count * replicas
	}
	return offered
}
