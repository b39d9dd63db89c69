package operator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
)

const hashAnnotation = "nvidia.com/last-applied-hash"

// operand is one DaemonSet and the controller's state that stands for it.
type operand struct {
	state     string // the vendor's name in "states not ready: [...]"
	name      string
	container string
	account   string // its ServiceAccount
	selector  map[string]string
	component func(Spec) Component
	shape     func(Spec) shape
	sharing   bool // carries the config manager: rolled when config.name or config.default changes
	onDelete  bool // pods are replaced only when somebody deletes them
	unguarded bool // works without the runtime that the toolkit installs
}

func deploy(what string) map[string]string {
	return map[string]string{"nvidia.com/gpu.deploy." + what: "true"}
}

// In the order in which the vendor's controller goes through its states.
var operands = []operand{
	{state: "state-driver", name: "nvidia-driver-daemonset", container: "nvidia-driver-ctr", account: "nvidia-driver",
		selector: deploy("driver"), component: func(s Spec) Component { return s.Driver }, shape: driverShape,
		onDelete: true, unguarded: true},
	{state: "state-container-toolkit", name: "nvidia-container-toolkit-daemonset", container: "nvidia-container-toolkit-ctr",
		account: "nvidia-container-toolkit", selector: deploy("container-toolkit"),
		component: func(s Spec) Component { return s.Toolkit.Component }, shape: toolkitShape, unguarded: true},
	{state: "state-operator-validation", name: "nvidia-operator-validator", container: "nvidia-operator-validator",
		account: "nvidia-operator-validator", selector: deploy("operator-validator"),
		component: func(s Spec) Component { return s.Validator }, shape: validatorShape},
	{state: "state-device-plugin", name: "nvidia-device-plugin-daemonset", container: "nvidia-device-plugin",
		account: "nvidia-device-plugin", selector: deploy("device-plugin"),
		component: func(s Spec) Component { return s.DevicePlugin.Component }, shape: pluginShape, sharing: true},
	{state: "state-mps-control-daemon", name: "nvidia-device-plugin-mps-control-daemon", container: "mps-control-daemon-ctr",
		account:   "nvidia-device-plugin",
		selector:  map[string]string{"nvidia.com/gpu.deploy.device-plugin": "true", "nvidia.com/mps.capable": "true"},
		component: func(s Spec) Component { return s.DevicePlugin.Component }, shape: mpsShape, sharing: true},
	{state: "state-dcgm", name: "nvidia-dcgm", container: "nvidia-dcgm-ctr", account: "nvidia-dcgm",
		selector: deploy("dcgm"), component: func(s Spec) Component { return s.DCGM }, shape: idleShape},
	{state: "state-dcgm-exporter", name: "nvidia-dcgm-exporter", container: "nvidia-dcgm-exporter",
		account: "nvidia-dcgm-exporter", selector: deploy("dcgm-exporter"),
		component: func(s Spec) Component { return s.DCGMExporter }, shape: idleShape},
	{state: "gpu-feature-discovery", name: "gpu-feature-discovery", container: "gpu-feature-discovery",
		account: "nvidia-gpu-feature-discovery", selector: deploy("gpu-feature-discovery"),
		component: func(s Spec) Component { return s.GFD }, shape: discoveryShape, sharing: true},
	{state: "state-mig-manager", name: "nvidia-mig-manager", container: "nvidia-mig-manager", account: "nvidia-mig-manager",
		selector: deploy("mig-manager"), component: func(s Spec) Component { return s.MIGManager.Component }, shape: idleShape},
	{state: "state-node-status-exporter", name: "nvidia-node-status-exporter", container: "nvidia-node-status-exporter",
		account: "nvidia-node-status-exporter", selector: deploy("node-status-exporter"),
		component: func(s Spec) Component { return s.NodeStatusExporter }, shape: idleShape},
}

type object = map[string]any

// daemonSet builds the DaemonSet of an operand; its annotation hashes everything that makes pods differ.
func (o operand) daemonSet(policy Policy, namespace string) object {
	labels := map[string]string{"app": o.name, "app.kubernetes.io/managed-by": managedBy, "app.kubernetes.io/part-of": "nvidia-gpu"}
	podLabels := merged(policy.Spec.Daemonsets.Labels, labels)
	spec := object{
		"selector":       object{"matchLabels": object{"app": o.name}},
		"updateStrategy": o.updateStrategy(policy.Spec),
		"template": object{
			"metadata": object{"labels": podLabels, "annotations": policy.Spec.Daemonsets.Annotations},
			"spec":     o.podSpec(policy.Spec),
		},
	}
	return object{
		"apiVersion": "apps/v1", "kind": "DaemonSet",
		"metadata": object{
			"name": o.name, "namespace": namespace, "labels": labels, "ownerReferences": policy.owner(),
			"annotations": object{hashAnnotation: hash(spec)},
		},
		"spec": spec,
	}
}

func (o operand) updateStrategy(spec Spec) object {
	if o.onDelete || spec.Daemonsets.UpdateStrategy == "OnDelete" {
		return object{"type": "OnDelete"}
	}
	var unavailable any = 1
	if text := spec.Daemonsets.RollingUpdate.MaxUnavailable; text != "" {
		unavailable = text
		if number, err := strconv.Atoi(text); err == nil {
			unavailable = number
		}
	}
	return object{"type": "RollingUpdate", "rollingUpdate": object{"maxUnavailable": unavailable}}
}

func merged(maps ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, one := range maps {
		for key, value := range one {
			all[key] = value
		}
	}
	return all
}

func hash(spec object) string {
	text, _ := json.Marshal(spec) // maps are written in the order of their keys
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
