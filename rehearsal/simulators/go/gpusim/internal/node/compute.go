package node

import (
	"context"
	"os"
	"strings"
	"time"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

// brokenCard is a file of the machine; while it is there nothing computes, and its text is what a program prints.
const brokenCard = "/etc/standin/broken-card"

// compute plays what a Job's container does on a GPU: it ends, well or, on a broken card, with exit code 1. Only
// one that has what it asked for begins at all. (Pods of Jobs without GPUs are ended by kwok.)
func (m *Machine) compute(ctx context.Context, seen view) error {
	served := m.served()
	trouble, err := os.ReadFile(brokenCard)
	broken := err == nil
	for _, pod := range seen.pods {
		if !pod.Running() || !ownedByJob(pod) || !granted(pod, served) {
			continue
		}
		path := "/api/v1/namespaces/" + pod.Metadata.Namespace + "/pods/" + pod.Metadata.Name + "/status"
		status := computed(pod, broken, strings.TrimSpace(string(trouble)))
		if err := m.api.Strategic(ctx, path, status); err != nil && !kube.IsNotFound(err) {
			return err
		}
		m.log.Printf("kubelet: pod %s/%s has computed, broken card: %v", pod.Metadata.Namespace, pod.Metadata.Name, broken)
	}
	return nil
}

func ownedByJob(pod kube.Pod) bool {
	for _, owner := range pod.Metadata.OwnerReferences {
		if owner.Kind == "Job" {
			return true
		}
	}
	return false
}

// granted says whether the pod asks for GPUs that the device plugin serves.
func granted(pod kube.Pod, served map[string]int) bool {
	asked := gpusOf(pod)
	for _, gpus := range asked {
		for resource, count := range gpus {
			if count > served[resource] {
				return false
			}
		}
	}
	return len(asked) > 0
}

func computed(pod kube.Pod, broken bool, trouble string) map[string]any {
	now := time.Now().UTC().Format(time.RFC3339)
	phase, end := "Succeeded", map[string]any{"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}
	if broken {
		phase, end["exitCode"], end["reason"] = "Failed", 1, "Error"
		end["message"] = "stand-in, from the container's log: " + trouble
	}
	var containers []any
	for _, container := range pod.Spec.Containers {
		containers = append(containers, map[string]any{
			"name": container.Name, "image": container.Image, "imageID": "", "ready": false, "started": false,
			"restartCount": 0, "state": map[string]any{"terminated": end},
		})
	}
	return map[string]any{"status": map[string]any{
		"phase": phase, "containerStatuses": containers,
		"conditions": []any{ended("ContainersReady", phase), ended("Ready", phase)},
	}}
}

func ended(kind, phase string) map[string]any {
	return map[string]any{"type": kind, "status": "False", "reason": "Pod" + phase, "lastTransitionTime": kube.Now()}
}
