package node

import (
	"context"
	"strconv"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/gpu"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

// admit plays the kubelet's admission: a pod is judged once, when it arrives, by what the device plugin answers to
// its request. kwok may have called it Running by then; a pod that ran before this program did stays.
func (m *Machine) admit(ctx context.Context, seen view) error {
	first := m.judged == nil
	judged := map[string]bool{}
	for _, pod := range seen.pods {
		uid := pod.Metadata.UID
		judged[uid] = true
		if first || m.judged[uid] || pod.Metadata.DeletionTimestamp != nil {
			continue
		}
		if err := m.refusal(pod); err != nil {
			path := "/api/v1/namespaces/" + pod.Metadata.Namespace + "/pods/" + pod.Metadata.Name + "/status"
			if err := m.api.Merge(ctx, path, rejected(err)); err != nil && !kube.IsNotFound(err) {
				return err
			}
			m.log.Printf("kubelet: pod %s/%s: UnexpectedAdmissionError: %v", pod.Metadata.Namespace, pod.Metadata.Name, err)
		}
	}
	m.judged = judged
	return nil
}

func (m *Machine) refusal(pod kube.Pod) error {
	if m.plugin == nil || m.plugin.config == nil {
		return nil
	}
	asked := map[string]int{}
	for _, container := range pod.Spec.Containers {
		for resource, text := range container.Resources.Limits {
			number, _ := strconv.Atoi(text) // other resources have units
			asked[resource] += number
		}
	}
	for resource, count := range asked {
		if err := gpu.ValidateRequest(m.plugin.config, resource, count); err != nil {
			return err
		}
	}
	return nil
}

func rejected(err error) map[string]any {
	return map[string]any{"status": map[string]any{
		"phase": "Failed", "reason": "UnexpectedAdmissionError", "conditions": []any{}, "containerStatuses": []any{},
		"message": "Pod was rejected: Allocate failed due to rpc error: code = Unknown desc = " + err.Error() +
			", which is unexpected",
	}}
}
