package node

import (
	"context"
	"fmt"
	"time"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

// report writes the events a kubelet would write about a pod that cannot run: on a real cluster a missing
// ConfigMap shows nowhere else. An API that refuses events is no reason to stop.
func (m *Machine) report(ctx context.Context, pod kube.Pod, s *session) {
	if s.configMap != "" && !s.mounted {
		m.event(ctx, pod, "FailedMount", fmt.Sprintf("MountVolume.SetUp failed for volume %q : configmap %q not found", s.configMap, s.configMap))
	}
	for container, c := range map[string]crash{configInit: s.init, configSidecar: s.sidecar, s.process: s.program} {
		if c.err != nil {
			m.event(ctx, pod, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)",
				container, pod.Metadata.Name, pod.Metadata.Namespace, pod.Metadata.UID))
		}
	}
}

func (m *Machine) event(ctx context.Context, pod kube.Pod, reason, message string) {
	now := kube.Now()
	err := m.api.Create(ctx, "/api/v1/namespaces/"+pod.Metadata.Namespace+"/events", map[string]any{
		"apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message,
		"metadata": map[string]any{"name": fmt.Sprintf("%s.%x", pod.Metadata.Name, time.Now().UnixNano())},
		"involvedObject": map[string]any{
			"apiVersion": "v1", "kind": "Pod", "name": pod.Metadata.Name, "namespace": pod.Metadata.Namespace, "uid": pod.Metadata.UID,
		},
		"source": map[string]any{"component": "kubelet", "host": m.name}, "count": 1, "firstTimestamp": now, "lastTimestamp": now,
	})
	if err != nil {
		m.log.Printf("kubelet: event %s about pod %s not written: %v", reason, pod.Metadata.Name, err)
	}
}
