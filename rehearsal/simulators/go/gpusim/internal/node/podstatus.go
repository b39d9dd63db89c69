package node

import (
	"fmt"
	"maps"
	"reflect"
	"time"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

// podStatus returns the status patch that makes a pod look as its session is, or nil when it does already. kwok,
// which plays the kubelet, has made the pod Running and Ready; from then on it leaves the status alone.
func (s *session) podStatus(pod kube.Pod) map[string]any {
	initProblem, problem := s.problems(pod)
	healthy := len(initProblem)+len(problem) == 0
	inits := statuses(pod.Spec.InitContainers, pod.Status.InitContainerStatuses, initProblem, true)
	mains := statuses(pod.Spec.Containers, pod.Status.ContainerStatuses, problem, false)
	if same(mains, pod.Status.ContainerStatuses) && (healthy || same(inits, pod.Status.InitContainerStatuses)) {
		return nil
	}
	if healthy && pod.Ready() && len(pod.Status.ContainerStatuses) == 0 {
		return nil
	}
	conditions := []kube.Condition{
		condition("Initialized", len(initProblem) == 0), condition("ContainersReady", healthy), condition("Ready", healthy),
	}
	return map[string]any{"status": map[string]any{
		"initContainerStatuses": inits, "containerStatuses": mains, "conditions": conditions,
	}}
}

// trouble is what a container waits for; text is what its log would say.
type trouble struct {
	reason   string
	message  string
	text     string
	restarts int
}

func (s *session) problems(pod kube.Pod) (inits, mains map[string]trouble) {
	inits, mains = map[string]trouble{}, map[string]trouble{}
	initializing := func() {
		for _, container := range pod.Spec.Containers {
			mains[container.Name] = trouble{reason: "PodInitializing"}
		}
	}
	switch {
	case s.configMap != "" && !s.mounted:
		initializing()
		for _, container := range pod.Spec.InitContainers {
			inits[container.Name] = trouble{reason: "PodInitializing"}
		}
	case s.init.err != nil:
		initializing()
		inits[configInit] = crashLoop(configInit, pod, s.init)
	default:
		if s.sidecar.err != nil {
			mains[configSidecar] = crashLoop(configSidecar, pod, s.sidecar)
		}
		if s.program.err != nil {
			mains[s.process] = crashLoop(s.process, pod, s.program)
		}
	}
	return inits, mains
}

func crashLoop(container string, pod kube.Pod, c crash) trouble {
	return trouble{
		reason: "CrashLoopBackOff", text: c.err.Error(), restarts: c.restarts,
		message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
			c.pause, container, pod.Metadata.Name, pod.Metadata.Namespace, pod.Metadata.UID),
	}
}

func statuses(containers []kube.Container, have []map[string]any, problems map[string]trouble, init bool) []map[string]any {
	var list []map[string]any
	for _, container := range containers {
		status := map[string]any{"name": container.Name, "image": container.Image, "imageID": "", "restartCount": float64(0)}
		for _, old := range have {
			if old["name"] == container.Name {
				status = maps.Clone(old)
			}
		}
		if problem, bad := problems[container.Name]; bad {
			fail(status, problem)
		} else {
			heal(status, init)
		}
		list = append(list, status)
	}
	return list
}

func fail(status map[string]any, problem trouble) {
	status["ready"], status["started"] = false, false
	waiting := map[string]any{"reason": problem.reason}
	if problem.message != "" {
		waiting["message"] = problem.message
		status["restartCount"] = float64(problem.restarts)
		status["lastState"] = map[string]any{"terminated": map[string]any{
			"exitCode": float64(1), "reason": "Error", "startedAt": nil, "finishedAt": nil,
			"message": "stand-in, from the container's log: " + problem.text,
		}}
	}
	status["state"] = map[string]any{"waiting": waiting}
}

func heal(status map[string]any, init bool) {
	state, _ := status["state"].(map[string]any)
	if state["waiting"] == nil && state != nil {
		return
	}
	now := time.Now().UTC().Format(time.RFC3339)
	status["ready"], status["started"] = true, !init
	status["state"] = map[string]any{"running": map[string]any{"startedAt": now}}
	if init {
		status["state"] = map[string]any{"terminated": map[string]any{
			"exitCode": float64(0), "reason": "Completed", "startedAt": now, "finishedAt": now,
		}}
	}
}

func same(a, b []map[string]any) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}

func condition(kind string, ok bool) kube.Condition {
	c := kube.Condition{Type: kind, Status: "True", LastTransitionTime: kube.Now()}
	if !ok {
		c.Status, c.Reason = "False", "ContainersNotReady"
		c.Message = "stand-in: a container of this pod does not run, see containerStatuses"
	}
	return c
}
