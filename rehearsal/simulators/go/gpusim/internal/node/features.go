package node

import (
	"os"
	"strings"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/gpu"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

const featurePrefix = "feature.node.kubernetes.io/"

// features returns what node-feature-discovery's worker finds on this machine, with the GPU Operator's settings
// (PCI devices by vendor); only what the operator needs.
func features(machine gpu.Machine) map[string]string {
	release := osRelease("/etc/os-release")
	id, version := first(machine.OSID, release["ID"], "unknown"), first(machine.OSVersionID, release["VERSION_ID"], "unknown")
	labels := map[string]string{
		featurePrefix + "system-os_release.ID":         id,
		featurePrefix + "system-os_release.VERSION_ID": version,
	}
	major, minor, hasMinor := strings.Cut(version, ".")
	labels[featurePrefix+"system-os_release.VERSION_ID.major"] = major
	if hasMinor {
		labels[featurePrefix+"system-os_release.VERSION_ID.minor"] = minor
	}
	if machine.Count > 0 {
		labels[featurePrefix+"pci-10de.present"] = "true"
	}
	return labels
}

func osRelease(path string) map[string]string {
	text, _ := os.ReadFile(path) // a machine without the file has no values, as for the worker itself
	values := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			values[key] = strings.Trim(value, `"'`)
		}
	}
	return values
}

func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// labelPatch returns the changes that give a node exactly the wanted labels among those that owned says are ours:
// a string sets, nil removes.
func labelPatch(node kube.Node, wanted map[string]string, owned func(string) bool) map[string]any {
	changes := map[string]any{}
	for key, value := range wanted {
		if have, there := node.Metadata.Labels[key]; !there || have != value {
			changes[key] = value
		}
	}
	for key := range node.Metadata.Labels {
		if _, keep := wanted[key]; !keep && owned(key) {
			changes[key] = nil
		}
	}
	return changes
}

func isFeature(key string) bool { return strings.HasPrefix(key, featurePrefix) }

// isDiscovered says whether gpu-feature-discovery writes a label; the operator's and the administrator's labels
// under nvidia.com/ are none of its business.
func isDiscovered(key string) bool {
	switch key {
	case "nvidia.com/gfd.timestamp", "nvidia.com/vgpu.present",
		"nvidia.com/mig.capable", "nvidia.com/mig.strategy", "nvidia.com/mps.capable",
		"nvidia.com/gpu.machine", "nvidia.com/gpu.count", "nvidia.com/gpu.memory", "nvidia.com/gpu.family",
		"nvidia.com/gpu.mode", "nvidia.com/gpu.product", "nvidia.com/gpu.replicas", "nvidia.com/gpu.sharing-strategy",
		"nvidia.com/gpu.multiprocessors":
		return true
	}
	for _, prefix := range []string{"cuda.", "gpu.compute.", "gpu.engines.", "gpu.slices.", "mig-"} {
		if strings.HasPrefix(key, "nvidia.com/"+prefix) {
			return true
		}
	}
	return false
}
