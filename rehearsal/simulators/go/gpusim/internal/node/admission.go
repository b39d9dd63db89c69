package node

import (
	"context"
	"strconv"
	"strings"
	"time"

	spec "github.com/NVIDIA/k8s-device-plugin/api/config/v1"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/gpu"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

// admit plays the kubelet's admission of pods that ask for GPUs, by what the device plugin answers. kwok starts such a
// pod only when it has a start time, which kubelets set when they take notice of a pod.
func (m *Machine) admit(ctx context.Context, seen view) error {
	for _, pod := range seen.pods {
		if !arrives(pod) {
			continue
		}
		status := map[string]any{}
		err := m.refusal(pod)
		if err != nil {
			status = rejected(err)
		}
		status["startTime"] = time.Now().UTC().Format(time.RFC3339)
		path := "/api/v1/namespaces/" + pod.Metadata.Namespace + "/pods/" + pod.Metadata.Name + "/status"
		if err := m.api.Merge(ctx, path, map[string]any{"status": status}); err != nil && !kube.IsNotFound(err) {
			return err
		}
		if err != nil {
			m.event(ctx, pod, admissionError, allocationFailed(err))
			m.log.Printf("kubelet: pod %s/%s: %s: %v", pod.Metadata.Namespace, pod.Metadata.Name, admissionError, err)
		}
	}
	return nil
}

// arrives says that a pod asks for GPUs and has been neither admitted nor rejected.
func arrives(pod kube.Pod) bool {
	return pod.Metadata.DeletionTimestamp == nil && pod.Status.Phase == "Pending" && pod.Status.StartTime == "" &&
		len(gpusOf(pod)) > 0
}

// gpusOf are the GPUs that each container asks for, by the resource's name.
func gpusOf(pod kube.Pod) []map[string]int {
	var asked []map[string]int
	for _, container := range pod.Spec.Containers {
		gpus := map[string]int{}
		for resource, text := range container.Resources.Limits {
			if strings.HasPrefix(resource, "nvidia.com/") {
				gpus[resource], _ = strconv.Atoi(text) // the API server takes whole numbers only
			}
		}
		if len(gpus) > 0 {
			asked = append(asked, gpus)
		}
	}
	return asked
}

// refusal is the error with which the device plugin refuses what one of the containers asks for.
func (m *Machine) refusal(pod kube.Pod) error {
	if m.plugin == nil || m.plugin.config == nil {
		return nil
	}
	return refusalBy(m.plugin.config, pod)
}

func refusalBy(config *spec.Config, pod kube.Pod) error {
	for _, gpus := range gpusOf(pod) {
		for resource, count := range gpus {
			if err := gpu.ValidateRequest(config, resource, count); err != nil {
				return err
			}
		}
	}
	return nil
}

const admissionError = "UnexpectedAdmissionError"

func allocationFailed(err error) string {
	return "Allocate failed due to rpc error: code = Unknown desc = " + err.Error() + ", which is unexpected"
}

func rejected(err error) map[string]any {
	return map[string]any{
		"phase": "Failed", "reason": admissionError, "message": "Pod was rejected: " + allocationFailed(err),
	}
}
