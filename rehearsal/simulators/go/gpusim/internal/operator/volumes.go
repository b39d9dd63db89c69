package operator

import "k3s-gpu-sharing/rehearsal/gpusim/internal/kube"

// hostPath is a folder of the machine; an empty kind is not checked by the kubelet.
func hostPath(name, path, kind string) object {
	source := object{"path": path}
	if kind != "" {
		source["type"] = kind
	}
	return object{"name": name, "hostPath": source}
}

func mount(name, path string) object { return object{"name": name, "mountPath": path} }

func readOnly(m object) object { return merge(m, object{"readOnly": true}) }

// fromHost is a mount in which later mounts of the machine appear.
func fromHost(name, path string) object {
	return merge(mount(name, path), object{"mountPropagation": "HostToContainer"})
}

// toHost is a mount whose own mounts appear on the machine, too.
func toHost(name, path string) object {
	return merge(mount(name, path), object{"mountPropagation": "Bidirectional"})
}

// runEntryPoint starts the script of the entry point's ConfigMap.
func runEntryPoint() object {
	return object{"command": []string{"/bin/sh", "-c"}, "args": []string{"/bin/entrypoint.sh"}}
}

func entryPointMount(name string) object {
	return readOnly(merge(mount(name, "/bin/entrypoint.sh"), object{"subPath": "entrypoint.sh"}))
}

func entryPointVolume(name string) object {
	return object{"name": name, "configMap": object{"name": name, "defaultMode": 0o700}}
}

func fromField(name, field string) kube.Env {
	return kube.Env{Name: name, From: object{"fieldRef": object{"fieldPath": field}}}
}

func merge(maps ...object) object {
	all := object{}
	for _, one := range maps {
		for key, value := range one {
			all[key] = value
		}
	}
	return all
}
