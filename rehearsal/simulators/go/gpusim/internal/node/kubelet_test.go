package node

import (
	"reflect"
	"testing"
	"time"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/gpu"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

func status(capacity, allocatable map[string]string) map[string]any {
	return map[string]any{"status": map[string]any{"capacity": capacity, "allocatable": allocatable}}
}

func TestGonePluginsDevicesAreUnhealthyThenNone(t *testing.T) {
	k, now, node := newKubelet(300*time.Second), time.Unix(0, 0), kube.Node{}
	node.Status.Capacity = map[string]string{"cpu": "4", "example.com/foo": "3"}
	for _, step := range []struct {
		why                   string
		after                 time.Duration
		served                map[string]int
		capacity, allocatable map[string]string
	}{
		{"registered", 0, map[string]int{"nvidia.com/gpu": 6}, map[string]string{"nvidia.com/gpu": "6"}, map[string]string{"nvidia.com/gpu": "6"}},
		{"renamed", 1, map[string]int{"nvidia.com/gpu.shared": 6}, map[string]string{"nvidia.com/gpu": "6", "nvidia.com/gpu.shared": "6"},
			map[string]string{"nvidia.com/gpu": "0", "nvidia.com/gpu.shared": "6"}},
		{"grace over", 300, map[string]int{"nvidia.com/gpu.shared": 6}, map[string]string{"nvidia.com/gpu": "0", "nvidia.com/gpu.shared": "6"},
			map[string]string{"nvidia.com/gpu": "0", "nvidia.com/gpu.shared": "6"}},
	} {
		now = now.Add(step.after * time.Second)
		k.observe(step.served, now)
		if got := k.statusPatch(node); !reflect.DeepEqual(got, status(step.capacity, step.allocatable)) {
			t.Errorf("%s: %v", step.why, got)
		}
	}
}

func TestRestOfAnEarlierRunIsZeroed(t *testing.T) {
	node := kube.Node{}
	node.Status.Capacity = map[string]string{"nvidia.com/gpu.shared": "4"}
	node.Status.Allocatable = map[string]string{"nvidia.com/gpu.shared": "4"}
	k := newKubelet(0)
	if got := k.statusPatch(node); !reflect.DeepEqual(got, status(map[string]string{"nvidia.com/gpu.shared": "0"}, map[string]string{"nvidia.com/gpu.shared": "0"})) {
		t.Error(got)
	}
	if got := k.statusPatch(kube.Node{}); got != nil {
		t.Errorf("a node without GPUs is left alone: %v", got)
	}
}

func TestLabelPatchLeavesOthersAlone(t *testing.T) {
	node := kube.Node{Metadata: kube.Meta{Labels: map[string]string{
		"nvidia.com/gpu.product": "old", "nvidia.com/gpu.count": "1", "nvidia.com/mig.strategy": "single", "nvidia.com/gpu.engines.copy": "1",
		"nvidia.com/gpu.present": "true", "nvidia.com/gpu.deploy.dcgm": "true", "nvidia.com/device-plugin.config": "a", "nvidia.com/mig.config": "x",
	}}}
	got := labelPatch(node, map[string]string{"nvidia.com/gpu.product": "new", "nvidia.com/gpu.count": "1"}, isDiscovered)
	if want := map[string]any{"nvidia.com/gpu.product": "new", "nvidia.com/mig.strategy": nil, "nvidia.com/gpu.engines.copy": nil}; !reflect.DeepEqual(got, want) {
		t.Error(got)
	}
}

func TestFeatures(t *testing.T) {
	labels := features(gpu.Machine{Count: 1, OSID: "ubuntu", OSVersionID: "24.04"})
	for key, want := range map[string]string{
		"pci-10de.present": "true", "system-os_release.ID": "ubuntu", "system-os_release.VERSION_ID": "24.04",
		"system-os_release.VERSION_ID.major": "24", "system-os_release.VERSION_ID.minor": "04",
	} {
		if labels[featurePrefix+key] != want {
			t.Errorf("%s: %q", key, labels[featurePrefix+key])
		}
	}
	if _, there := features(gpu.Machine{})[featurePrefix+"pci-10de.present"]; there {
		t.Error("a machine without GPUs has an NVIDIA PCI device")
	}
}
