package operator

import (
	"path"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

const (
	validations = "/run/nvidia/validations"
	shm         = "/dev/shm"
)

var (
	privileged = object{"privileged": true}
	validator  = []string{"sh", "-c"}
)

// The volumes have the vendor's names, so that a ConfigMap with one of these names is refused by the API server as
// it is with the vendor's DaemonSet.

func pluginShape(spec Spec) shape {
	root := mpsRoot(spec)
	return shape{
		inits: []any{awaitToolkit(spec, mount("run-nvidia-validations", validations))},
		main:  runEntryPoint(),
		env: []kube.Env{
			{Name: "PASS_DEVICE_SPECS", Value: "true"},
			{Name: "FAIL_ON_INIT_ERROR", Value: "true"},
			{Name: "DEVICE_LIST_STRATEGY", Value: "envvar"},
			{Name: "DEVICE_ID_STRATEGY", Value: "uuid"},
			{Name: "NVIDIA_VISIBLE_DEVICES", Value: "all"},
			{Name: "NVIDIA_DRIVER_CAPABILITIES", Value: "all"},
			{Name: "MPS_ROOT", Value: root},
		},
		mounts: []any{
			entryPointMount("nvidia-device-plugin-entrypoint"),
			mount("device-plugin", "/var/lib/kubelet/device-plugins"),
			mount("run-nvidia-validations", validations),
			fromHost("driver-install-dir", "/driver-root"),
			readOnly(fromHost("host-root", "/host")),
			mount("cdi-root", "/var/run/cdi"),
			mount("mps-shm", shm),
			mount("mps-root", "/mps"),
		},
		volumes: []any{
			entryPointVolume("nvidia-device-plugin-entrypoint"),
			hostPath("device-plugin", "/var/lib/kubelet/device-plugins", ""),
			hostPath("run-nvidia-validations", validations, "DirectoryOrCreate"),
			hostPath("driver-install-dir", "/run/nvidia/driver", "DirectoryOrCreate"),
			hostPath("host-root", "/", ""),
			hostPath("cdi-root", "/var/run/cdi", "DirectoryOrCreate"),
			hostPath("mps-root", root, "DirectoryOrCreate"),
			hostPath("mps-shm", root+"/shm", ""),
		},
	}
}

func discoveryShape(spec Spec) shape {
	return shape{
		inits: []any{awaitToolkit(spec, fromHost("run-nvidia", "/run/nvidia"))},
		main:  object{"command": []string{"gpu-feature-discovery"}},
		env: []kube.Env{
			{Name: "GFD_SLEEP_INTERVAL", Value: "60s"},
			{Name: "GFD_FAIL_ON_INIT_ERROR", Value: "true"},
			fromField("NAMESPACE", "metadata.namespace"),
			fromField("NODE_NAME", "spec.nodeName"),
			fromField("POD_NAME", "metadata.name"),
		},
		mounts: []any{
			mount("output-dir", "/etc/kubernetes/node-feature-discovery/features.d"),
			readOnly(mount("host-sys", "/sys")),
		},
		volumes: []any{
			hostPath("output-dir", "/etc/kubernetes/node-feature-discovery/features.d", ""),
			hostPath("host-sys", "/sys", ""),
			hostPath("run-nvidia", "/run/nvidia", "Directory"),
		},
	}
}

func mpsShape(spec Spec) shape {
	root, image := mpsRoot(spec), spec.DevicePlugin.image()
	mounts := object{
		"name": "mps-control-daemon-mounts", "image": image, "command": []string{"mps-control-daemon", "mount-shm"},
		"imagePullPolicy": pullPolicy(spec.DevicePlugin.Component), "securityContext": privileged,
		"volumeMounts": []any{toHost("mps-root", "/mps")},
	}
	return shape{
		inits: []any{awaitToolkit(spec, fromHost("run-nvidia", "/run/nvidia")), mounts},
		main:  object{"command": []string{"mps-control-daemon"}},
		env: []kube.Env{
			fromField("NODE_NAME", "spec.nodeName"),
			{Name: "NVIDIA_VISIBLE_DEVICES", Value: "all"},
			{Name: "NVIDIA_DRIVER_CAPABILITIES", Value: "compute,utility"},
		},
		mounts: []any{mount("mps-shm", shm), mount("mps-root", "/mps")},
		volumes: []any{
			hostPath("run-nvidia", "/run/nvidia", "Directory"),
			hostPath("mps-root", root, "DirectoryOrCreate"),
			hostPath("mps-shm", root+"/shm", ""),
		},
		hostPID: true,
	}
}

// validatorShape is a pod whose init containers check one part after the other, and which then waits to be deleted.
func validatorShape(spec Spec) shape {
	status := toHost("run-nvidia-validations", validations)
	toolkit := validation(spec, "toolkit", []any{status}, kube.Env{Name: "NVIDIA_VISIBLE_DEVICES", Value: "all"})
	inits := []any{driverValidation(spec), toolkit, validation(spec, "cuda", []any{status})}
	if spec.DevicePlugin.enabled() {
		inits = append(inits, validation(spec, "plugin", []any{status}, fromField("NODE_NAME", "spec.nodeName")))
	}
	forget := []string{"sh", "-c", "rm -f " + validations + "/*-ready"}
	return shape{
		inits: inits,
		main: object{
			"command": validator, "args": []string{"echo all validations passed; while true; do sleep 86400; done"},
			"lifecycle": object{"preStop": object{"exec": object{"command": forget}}},
		},
		mounts:  []any{status},
		volumes: driverVolumes(),
	}
}

// toolkitShape is the installer of NVIDIA's container toolkit.
func toolkitShape(spec Spec) shape {
	install := spec.Toolkit.InstallDir
	return shape{
		inits: []any{driverValidation(spec)},
		main:  runEntryPoint(),
		env: []kube.Env{
			{Name: "ROOT", Value: install},
			{Name: "NVIDIA_CONTAINER_RUNTIME_MODES_CDI_DEFAULT_KIND", Value: "management.nvidia.com/gpu"},
			{Name: "NVIDIA_VISIBLE_DEVICES", Value: "void"},
			{Name: "TOOLKIT_PID_FILE", Value: "/run/nvidia/toolkit/toolkit.pid"},
		},
		mounts: []any{
			entryPointMount("nvidia-container-toolkit-entrypoint"),
			mount("toolkit-root", "/run/nvidia/toolkit"),
			mount("run-nvidia-validations", validations),
			mount("toolkit-install-dir", install),
			fromHost("driver-install-dir", "/driver-root"),
			readOnly(fromHost("host-root", "/host")),
			mount("cdi-root", "/var/run/cdi"),
		},
		volumes: append(driverVolumes(),
			entryPointVolume("nvidia-container-toolkit-entrypoint"),
			hostPath("toolkit-root", "/run/nvidia/toolkit", "DirectoryOrCreate"),
			hostPath("toolkit-install-dir", install, ""),
			hostPath("cdi-root", "/var/run/cdi", "DirectoryOrCreate")),
		hostPID: true,
	}
}

// driverShape has the names of the vendor's pod; no program stands behind it.
func driverShape(Spec) shape {
	return shape{volumes: []any{hostPath("run-nvidia-validations", validations, "DirectoryOrCreate")}}
}

// idleShape is an operand whose program the rehearsal does not have: its pod waits for its end.
func idleShape(spec Spec) shape {
	return shape{
		main:    object{"command": []string{"gpusim", "idle"}},
		inits:   []any{awaitToolkit(spec, fromHost("run-nvidia", "/run/nvidia"))},
		volumes: []any{hostPath("run-nvidia", "/run/nvidia", "")},
	}
}

// mpsRoot falls back to the path in the vendor's own DaemonSet: the vendor's chart never renders the value.
func mpsRoot(spec Spec) string {
	if root := spec.DevicePlugin.MPS.Root; root != "" {
		return root
	}
	return "/run/nvidia/mps"
}

// awaitToolkit is the init container that holds an operand back until the validator has seen a working runtime.
func awaitToolkit(spec Spec, status object) object {
	return object{
		"name": "toolkit-validation", "image": spec.Validator.image(), "imagePullPolicy": pullPolicy(spec.Validator),
		"command": validator, "securityContext": privileged, "volumeMounts": []any{status},
		"args": []string{"until [ -f " + path.Join(validations, "toolkit-ready") + " ]; do echo waiting for the container toolkit; sleep 5; done"},
	}
}

func driverValidation(spec Spec) object {
	mounts := []any{
		readOnly(fromHost("host-root", "/host")),
		fromHost("driver-install-dir", "/run/nvidia/driver"),
		toHost("run-nvidia-validations", validations),
		mount("host-dev-char", "/host-dev-char"),
	}
	return validation(spec, "driver", mounts, kube.Env{Name: "WITH_WAIT", Value: "true"})
}

func validation(spec Spec, component string, mounts []any, env ...kube.Env) object {
	return object{
		"name": component + "-validation", "image": spec.Validator.image(), "imagePullPolicy": pullPolicy(spec.Validator),
		"command": validator, "args": []string{"nvidia-validator"}, "volumeMounts": mounts,
		"securityContext": merge(privileged, object{"runAsUser": 0}),
		"env": append([]kube.Env{
			{Name: "COMPONENT", Value: component},
			fromField("OPERATOR_NAMESPACE", "metadata.namespace"),
		}, env...),
	}
}

func driverVolumes() []any {
	return []any{
		hostPath("run-nvidia-validations", validations, "DirectoryOrCreate"),
		hostPath("driver-install-dir", "/run/nvidia/driver", "DirectoryOrCreate"),
		hostPath("host-root", "/", ""),
		hostPath("host-dev-char", "/dev/char", ""),
	}
}
