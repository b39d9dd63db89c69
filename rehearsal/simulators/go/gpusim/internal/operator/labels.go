package operator

import (
	"strings"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

const (
	present     = "nvidia.com/gpu.present"
	migManager  = "nvidia.com/gpu.deploy.mig-manager"
	migDisabled = "all-disabled" // the only default of mig.config that the vendor writes on a Node
)

var gpuFeatures = []string{
	"feature.node.kubernetes.io/pci-10de.present",
	"feature.node.kubernetes.io/pci-0302_10de.present",
	"feature.node.kubernetes.io/pci-0300_10de.present",
}

// What the vendor sets on a GPU node for container workloads.
var stateLabels = []string{
	"nvidia.com/gpu.deploy.driver", "nvidia.com/gpu.deploy.gpu-feature-discovery", "nvidia.com/gpu.deploy.container-toolkit",
	"nvidia.com/gpu.deploy.device-plugin", "nvidia.com/gpu.deploy.dcgm", "nvidia.com/gpu.deploy.dcgm-exporter",
	"nvidia.com/gpu.deploy.node-status-exporter", "nvidia.com/gpu.deploy.operator-validator", "nvidia.com/gpu.deploy.client",
}

func hasGPU(node kube.Node) bool {
	for _, feature := range gpuFeatures {
		if node.Metadata.Labels[feature] == "true" {
			return true
		}
	}
	return false
}

func hasFeatureLabels(node kube.Node) bool {
	for key := range node.Metadata.Labels {
		if strings.HasPrefix(key, "feature.node.kubernetes.io/") {
			return true
		}
	}
	return false
}

// nodeLabels returns the label changes of one node: a string sets, nil removes. A value somebody preset is kept.
func nodeLabels(node kube.Node, spec Spec) map[string]any {
	labels, changes := node.Metadata.Labels, map[string]any{}
	set := func(key, value string) {
		if _, there := labels[key]; !there {
			changes[key] = value
		}
	}
	if !hasGPU(node) {
		if labels[present] == "true" {
			changes[present] = "false"
			removeStateLabels(labels, changes)
		}
		return changes
	}
	if labels[present] != "true" {
		changes[present] = "true"
	}
	if labels["nvidia.com/gpu.deploy.operands"] == "false" {
		removeStateLabels(labels, changes)
		return changes
	}
	for _, key := range stateLabels {
		set(key, "true")
	}
	if labels["nvidia.com/mig.capable"] == "true" {
		set(migManager, "true")
		if spec.MIGManager.enabled() && spec.MIGManager.Config.Default == migDisabled {
			set("nvidia.com/mig.config", migDisabled)
		}
	}
	return changes
}

func removeStateLabels(labels map[string]string, changes map[string]any) {
	for _, key := range append([]string{migManager}, stateLabels...) {
		if _, there := labels[key]; there {
			changes[key] = nil
		}
	}
}
