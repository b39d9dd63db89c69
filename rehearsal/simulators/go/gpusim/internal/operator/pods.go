package operator

import (
	"strconv"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

// shape is what an operand's pods have beyond what the pods of all operands have.
type shape struct {
	inits   []any  // run before the config manager's init container
	main    object // fields of the main container: command, args, lifecycle, ports
	env     []kube.Env
	mounts  []any // of the main container
	volumes []any
	hostPID bool
}

func (o operand) podSpec(spec Spec) object {
	component, shape := o.component(spec), o.shape(spec)
	main := merge(shape.main, object{
		"name": o.container, "image": component.image(), "imagePullPolicy": pullPolicy(component),
		"env": o.env(spec, shape.env), "resources": component.Resources, "securityContext": privileged,
	})
	if len(component.Args) > 0 {
		main["args"] = component.Args
	}
	pod := object{
		"serviceAccountName": o.account, "nodeSelector": o.selector, "tolerations": tolerations(spec),
		"priorityClassName": spec.Daemonsets.PriorityClassName, "hostPID": shape.hostPID, "hostNetwork": component.HostNetwork,
		"imagePullSecrets": secretNames(component.ImagePullSecrets),
	}
	if !o.unguarded {
		pod["runtimeClassName"] = spec.Operator.RuntimeClass
	}
	inits, containers := shape.inits, []any{main}
	if o.shares(spec) {
		name := spec.DevicePlugin.Config.Name
		mounts := []any{mount("config", "/config"), mount(name, "/available-configs")}
		shape.mounts = append(shape.mounts, mounts...)
		shape.volumes = append(shape.volumes, object{"name": "config", "emptyDir": object{}},
			object{"name": name, "configMap": object{"name": name}})
		inits = append(inits, o.configManager("config-manager-init", spec, mounts))
		containers = append(containers, o.configManager("config-manager", spec, mounts))
		if !shape.hostPID {
			pod["shareProcessNamespace"] = true
		}
	}
	main["volumeMounts"] = shape.mounts
	pod["volumes"], pod["initContainers"], pod["containers"] = shape.volumes, inits, containers
	return pod
}

func (o operand) shares(spec Spec) bool { return o.sharing && spec.DevicePlugin.Config.Name != "" }

// env follows the vendor's order: the operand's own values first, the component's env last, where it wins.
func (o operand) env(spec Spec, env []kube.Env) []kube.Env {
	if o.shares(spec) {
		env = replaced(env, kube.Env{Name: "CONFIG_FILE", Value: "/config/config.yaml"})
	}
	if o.sharing {
		if spec.MIG.Strategy != "" {
			env = replaced(env, kube.Env{Name: "MIG_STRATEGY", Value: spec.MIG.Strategy})
		}
		if spec.MIG.Strategy != "none" {
			env = replaced(env, kube.Env{Name: "NVIDIA_MIG_MONITOR_DEVICES", Value: "all"})
		}
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
		if spec.Toolkit.enabled() {
			hook := spec.Toolkit.InstallDir + "/toolkit/nvidia-cdi-hook"
			env = replaced(env, kube.Env{Name: "NVIDIA_CDI_HOOK_PATH", Value: hook})
		}
	}
	return env
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

// configManager is the container that links the node's sharing file, once before the program starts or beside it;
// then it sends the program SIGHUP.
func (o operand) configManager(name string, spec Spec, mounts []any) object {
	oneshot, signal, process := "false", "1", o.container
	switch {
	case name == "config-manager-init":
		oneshot, signal, process = "true", "", ""
	case o.container == "mps-control-daemon-ctr":
		process = "/usr/bin/mps-control-daemon"
	}
	return object{
		"name": name, "image": spec.DevicePlugin.image(), "imagePullPolicy": pullPolicy(spec.DevicePlugin.Component),
		"command": []string{"config-manager"}, "volumeMounts": mounts, "securityContext": privileged,
		"env": []kube.Env{
			{Name: "ONESHOT", Value: oneshot},
			{Name: "KUBECONFIG"},
			fromField("NODE_NAME", "spec.nodeName"),
			{Name: "NODE_LABEL", Value: "nvidia.com/device-plugin.config"},
			{Name: "CONFIG_FILE_SRCDIR", Value: "/available-configs"},
			{Name: "CONFIG_FILE_DST", Value: "/config/config.yaml"},
			{Name: "DEFAULT_CONFIG", Value: spec.DevicePlugin.Config.Default},
			{Name: "FALLBACK_STRATEGIES", Value: "empty"},
			{Name: "SEND_SIGNAL", Value: strconv.FormatBool(signal != "")},
			{Name: "SIGNAL", Value: signal},
			{Name: "PROCESS_TO_SIGNAL", Value: process},
		},
	}
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
