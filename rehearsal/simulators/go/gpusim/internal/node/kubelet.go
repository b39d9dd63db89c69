package node

import (
	"strconv"
	"strings"
	"time"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

// kubelet is the device manager's memory: what was registered and since when it is gone.
type kubelet struct {
	grace   time.Duration
	devices map[string]registration
}

type registration struct {
	count   int
	serving bool
	stopped time.Time
}

func newKubelet(grace time.Duration) *kubelet {
	return &kubelet{grace: grace, devices: map[string]registration{}}
}

// observe takes what plugins serve now. A resource that is served no more keeps its devices as unhealthy ones
// (capacity stays, allocatable is 0) for the grace time; then it is 0 in both, and stays listed.
func (k *kubelet) observe(served map[string]int, now time.Time) time.Duration {
	for name, count := range served {
		k.devices[name] = registration{count: count, serving: true}
	}
	again := time.Duration(0)
	for name, device := range k.devices {
		if _, ok := served[name]; ok {
			continue
		}
		if device.serving {
			device.serving, device.stopped = false, now
		}
		left := device.stopped.Add(k.grace).Sub(now)
		if left <= 0 {
			device.count = 0
		}
		k.devices[name] = device
		again = soonest(again, left)
	}
	return again
}

// statusPatch returns what to change in a Node's capacity and allocatable; nil when all is as it should be.
// Resources outside nvidia.com/ are never touched. One that an earlier run left behind is set to 0.
func (k *kubelet) statusPatch(node kube.Node) map[string]any {
	capacity, allocatable := map[string]string{}, map[string]string{}
	for _, name := range k.names(node) {
		device := k.devices[name]
		free := 0
		if device.serving {
			free = device.count
		}
		setIfDifferent(capacity, node.Status.Capacity, name, device.count)
		setIfDifferent(allocatable, node.Status.Allocatable, name, free)
	}
	if len(capacity)+len(allocatable) == 0 {
		return nil
	}
	return map[string]any{"status": map[string]any{"capacity": capacity, "allocatable": allocatable}}
}

func (k *kubelet) names(node kube.Node) []string {
	var names []string
	for name := range k.devices {
		names = append(names, name)
	}
	for _, list := range []map[string]string{node.Status.Capacity, node.Status.Allocatable} {
		for name := range list {
			if _, known := k.devices[name]; !known && strings.HasPrefix(name, "nvidia.com/") {
				names = append(names, name)
			}
		}
	}
	return names
}

func setIfDifferent(patch, have map[string]string, name string, number int) {
	if value := strconv.Itoa(number); have[name] != value {
		patch[name] = value
	}
}
