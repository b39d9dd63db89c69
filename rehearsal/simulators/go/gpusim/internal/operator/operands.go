package operator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
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
	sharing   bool // carries the config manager: rolled when config.name or config.default changes
	onDelete  bool // pods are replaced only when somebody deletes them
	unguarded bool // does not wait for the toolkit
}

func deploy(what string) map[string]string {
	return map[string]string{"nvidia.com/gpu.deploy." + what: "true"}
}

// In the order in which the vendor's controller goes through its states.
var operands = []operand{
	{state: "state-driver", name: "nvidia-driver-daemonset", container: "nvidia-driver-ctr", selector: deploy("driver"),
		account: "nvidia-driver", component: func(s Spec) Component { return s.Driver }, onDelete: true, unguarded: true},
	{state: "state-container-toolkit", name: "nvidia-container-toolkit-daemonset", container: "nvidia-container-toolkit-ctr",
		account: "nvidia-container-toolkit", selector: deploy("container-toolkit"), component: func(s Spec) Component { return s.Toolkit }, unguarded: true},
	{state: "state-operator-validation", name: "nvidia-operator-validator", container: "nvidia-operator-validator",
		account: "nvidia-operator-validator", selector: deploy("operator-validator"), component: func(s Spec) Component { return s.Validator }},
	{state: "state-device-plugin", name: "nvidia-device-plugin-daemonset", container: "nvidia-device-plugin",
		account: "nvidia-device-plugin", selector: deploy("device-plugin"), component: func(s Spec) Component { return s.DevicePlugin.Component }, sharing: true},
	{state: "state-mps-control-daemon", name: "nvidia-device-plugin-mps-control-daemon", container: "mps-control-daemon-ctr",
		account:   "nvidia-device-plugin",
		selector:  map[string]string{"nvidia.com/gpu.deploy.device-plugin": "true", "nvidia.com/mps.capable": "true"},
		component: func(s Spec) Component { return s.DevicePlugin.Component }, sharing: true},
	{state: "state-dcgm", name: "nvidia-dcgm", container: "nvidia-dcgm-ctr", selector: deploy("dcgm"),
		account: "nvidia-dcgm", component: func(s Spec) Component { return s.DCGM }},
	{state: "state-dcgm-exporter", name: "nvidia-dcgm-exporter", container: "nvidia-dcgm-exporter",
		account: "nvidia-dcgm-exporter", selector: deploy("dcgm-exporter"), component: func(s Spec) Component { return s.DCGMExporter }},
	{state: "gpu-feature-discovery", name: "gpu-feature-discovery", container: "gpu-feature-discovery",
		account: "nvidia-gpu-feature-discovery", selector: deploy("gpu-feature-discovery"), component: func(s Spec) Component { return s.GFD }, sharing: true},
	{state: "state-mig-manager", name: "nvidia-mig-manager", container: "nvidia-mig-manager", selector: deploy("mig-manager"),
		account: "nvidia-mig-manager", component: func(s Spec) Component { return s.MIGManager.Component }},
	{state: "state-node-status-exporter", name: "nvidia-node-status-exporter", container: "nvidia-node-status-exporter",
		account: "nvidia-node-status-exporter", selector: deploy("node-status-exporter"), component: func(s Spec) Component { return s.NodeStatusExporter }},
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

// serviceAccount has the vendor's name. The vendor's has a Role as well, which nothing needs here.
func (o operand) serviceAccount(policy Policy) object {
	return object{
		"apiVersion": "v1", "kind": "ServiceAccount",
		"metadata": object{"name": o.account, "ownerReferences": policy.owner()},
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

func (o operand) podSpec(spec Spec) object {
	component := o.component(spec)
	main := object{
		"name": o.container, "image": component.image(), "imagePullPolicy": pullPolicy(component), "args": component.Args,
		"env": o.env(spec), "resources": component.Resources, "securityContext": object{"privileged": true},
	}
	pod := object{
		"serviceAccountName": o.account, "nodeSelector": o.selector, "tolerations": tolerations(spec),
		"priorityClassName": spec.Daemonsets.PriorityClassName, "runtimeClassName": spec.Operator.RuntimeClass,
		"hostNetwork": component.HostNetwork, "imagePullSecrets": secretNames(component.ImagePullSecrets), "volumes": o.volumes(spec),
	}
	if o.unguarded {
		delete(pod, "runtimeClassName")
	}
	var inits []any
	if !o.unguarded {
		inits = append(inits, object{
			"name": "toolkit-validation", "image": spec.Validator.image(), "securityContext": object{"privileged": true},
			"volumeMounts": []any{object{"name": "run-nvidia-validations", "mountPath": "/run/nvidia/validations"}},
		})
	}
	containers := []any{main}
	if o.shares(spec) {
		mounts := []any{
			object{"name": "config", "mountPath": "/config"},
			object{"name": spec.DevicePlugin.Config.Name, "mountPath": "/available-configs"},
		}
		main["volumeMounts"] = mounts
		pod["shareProcessNamespace"] = true
		inits = append(inits, configManager("config-manager-init", spec, o.container, mounts))
		containers = append(containers, configManager("config-manager", spec, o.container, mounts))
	}
	pod["initContainers"] = inits
	pod["containers"] = containers
	return pod
}

func (o operand) shares(spec Spec) bool { return o.sharing && spec.DevicePlugin.Config.Name != "" }

// env follows the vendor's order: the operator's own values first, the component's env last, where it wins.
func (o operand) env(spec Spec) []kube.Env {
	var env []kube.Env
	set := func(name, value string) { env = append(env, kube.Env{Name: name, Value: value}) }
	switch o.container {
	case "nvidia-device-plugin":
		set("PASS_DEVICE_SPECS", "true")
		set("FAIL_ON_INIT_ERROR", "true")
		set("DEVICE_LIST_STRATEGY", "envvar")
		set("DEVICE_ID_STRATEGY", "uuid")
		set("MPS_ROOT", mpsRoot(spec))
	case "gpu-feature-discovery":
		set("GFD_SLEEP_INTERVAL", "60s")
		set("GFD_FAIL_ON_INIT_ERROR", "true")
	}
	if o.sharing && spec.MIG.Strategy != "" {
		set("MIG_STRATEGY", spec.MIG.Strategy)
	}
	if o.shares(spec) {
		set("CONFIG_FILE", "/config/config.yaml")
	}
	switch o.container {
	case "mps-control-daemon-ctr":
		return env // the vendor gives the plugin's own values to the plugin alone
	case "nvidia-device-plugin", "nvidia-container-toolkit-ctr", "nvidia-mig-manager":
		env = o.cdi(spec, env)
	}
	for _, own := range o.component(spec).Env {
		env = replaced(env, own)
	}
	return env
}

// cdi adds what the vendor sets while cdi.enabled is on, its default: devices reach pods by CDI, not by variables.
func (o operand) cdi(spec Spec, env []kube.Env) []kube.Env {
	if !spec.cdi() {
		return env
	}
	env = replaced(env, kube.Env{Name: "CDI_ENABLED", Value: "true"})
	if o.container == "nvidia-device-plugin" {
		env = replaced(env, kube.Env{Name: "DEVICE_LIST_STRATEGY", Value: "cdi-annotations,cdi-cri"})
		env = replaced(env, kube.Env{Name: "CDI_ANNOTATION_PREFIX", Value: "cdi.k8s.io/"})
	}
	return env
}

// mpsRoot falls back to the path in the vendor's own DaemonSet: the vendor's chart never renders the value.
func mpsRoot(spec Spec) string {
	if root := spec.DevicePlugin.MPS.Root; root != "" {
		return root
	}
	return "/run/nvidia/mps"
}

func replaced(env []kube.Env, own kube.Env) []kube.Env {
	for i := range env {
		if env[i].Name == own.Name {
			env[i] = own
			return env
		}
	}
	return append(env, own)
}

func configManager(name string, spec Spec, process string, mounts []any) object {
	oneshot, signal := "false", "1"
	if name == "config-manager-init" {
		oneshot, signal, process = "true", "", ""
	}
	return object{
		"name": name, "image": spec.DevicePlugin.image(), "command": []string{"config-manager"}, "volumeMounts": mounts,
		"securityContext": object{"privileged": true},
		"env": []any{
			object{"name": "ONESHOT", "value": oneshot},
			object{"name": "NODE_NAME", "valueFrom": object{"fieldRef": object{"fieldPath": "spec.nodeName"}}},
			object{"name": "NODE_LABEL", "value": "nvidia.com/device-plugin.config"},
			object{"name": "CONFIG_FILE_SRCDIR", "value": "/available-configs"},
			object{"name": "CONFIG_FILE_DST", "value": "/config/config.yaml"},
			object{"name": "DEFAULT_CONFIG", "value": spec.DevicePlugin.Config.Default},
			object{"name": "FALLBACK_STRATEGIES", "value": "empty"},
			object{"name": "SEND_SIGNAL", "value": strconv.FormatBool(signal != "")},
			object{"name": "SIGNAL", "value": signal},
			object{"name": "PROCESS_TO_SIGNAL", "value": process},
		},
	}
}

// volumes have the vendor's names, so that a ConfigMap with one of these names is refused by the API server as
// it is with the vendor's DaemonSet.
func (o operand) volumes(spec Spec) []any {
	hostPath := func(name, path string) any {
		return object{"name": name, "hostPath": object{"path": path, "type": "DirectoryOrCreate"}}
	}
	volumes := []any{hostPath("run-nvidia-validations", "/run/nvidia/validations")}
	switch o.container {
	case "nvidia-device-plugin":
		volumes = append(volumes,
			hostPath("device-plugin", "/var/lib/kubelet/device-plugins"), hostPath("driver-install-dir", "/run/nvidia/driver"),
			hostPath("host-root", "/"), hostPath("cdi-root", "/var/run/cdi"),
			hostPath("mps-root", "/run/nvidia/mps"), hostPath("mps-shm", "/run/nvidia/mps/shm"))
	case "mps-control-daemon-ctr":
		volumes = append(volumes, hostPath("mps-root", "/run/nvidia/mps"), hostPath("mps-shm", "/run/nvidia/mps/shm"))
	case "gpu-feature-discovery":
		volumes = append(volumes,
			hostPath("output-dir", "/etc/kubernetes/node-feature-discovery/features.d"), hostPath("host-sys", "/sys"))
	}
	if o.shares(spec) {
		name := spec.DevicePlugin.Config.Name
		volumes = append(volumes, object{"name": "config", "emptyDir": object{}},
			object{"name": name, "configMap": object{"name": name}})
	}
	return volumes
}

func tolerations(spec Spec) []any {
	if len(spec.Daemonsets.Tolerations) > 0 {
		return spec.Daemonsets.Tolerations
	}
	return []any{object{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}}
}

func pullPolicy(component Component) string {
	if component.ImagePullPolicy == "" {
		return "IfNotPresent"
	}
	return component.ImagePullPolicy
}

func secretNames(names []string) []any {
	var secrets []any
	for _, name := range names {
		secrets = append(secrets, object{"name": name})
	}
	return secrets
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
