package node

import (
	"strings"
	"testing"

	spec "github.com/NVIDIA/k8s-device-plugin/api/config/v1"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

func strict() *spec.Config {
	return &spec.Config{Sharing: spec.Sharing{TimeSlicing: spec.ReplicatedResources{
		FailRequestsGreaterThanOne: true,
		Resources:                  []spec.ReplicatedResource{{Name: "nvidia.com/gpu", Replicas: 6}},
	}}}
}

func TestThePluginRefusesSeveralSlicesForOneContainer(t *testing.T) {
	one, two := map[string]string{"nvidia.com/gpu": "1"}, map[string]string{"nvidia.com/gpu": "2"}
	if err := refusalBy(strict(), asking(two)); err == nil || !strings.Contains(err.Error(), "is 1; found 2") {
		t.Errorf("two slices: %v", err)
	}
	// The plugin is asked for each container alone.
	pair := asking(one)
	pair.Spec.Containers = append(pair.Spec.Containers, asking(one).Spec.Containers...)
	if err := refusalBy(strict(), pair); err != nil {
		t.Errorf("a slice for each of two containers: %v", err)
	}
}

func TestARejectedPodHasTheKubeletsWords(t *testing.T) {
	status := rejected(refusalBy(strict(), asking(map[string]string{"nvidia.com/gpu": "2"})))
	want := `Pod was rejected: Allocate failed due to rpc error: code = Unknown desc = invalid allocation request for ` +
		`"nvidia.com/gpu": invalid request: maximum request size for shared resources is 1; found 2, which is unexpected`
	if status["phase"] != "Failed" || status["reason"] != "UnexpectedAdmissionError" || status["message"] != want {
		t.Errorf("%v", status)
	}
}

func TestAPodIsJudgedOnceBeforeItRuns(t *testing.T) {
	for name, test := range map[string]struct {
		status kube.PodStatus
		gpus   string
		want   bool
	}{
		"new":                {kube.PodStatus{Phase: "Pending"}, "1", true},
		"without GPUs":       {kube.PodStatus{Phase: "Pending"}, "", false},
		"admitted":           {kube.PodStatus{Phase: "Pending", StartTime: "2026-01-01T00:00:00Z"}, "1", false},
		"running for longer": {kube.PodStatus{Phase: "Running"}, "1", false},
	} {
		pod := asking(map[string]string{"cpu": "1"})
		if test.gpus != "" {
			pod = asking(map[string]string{"nvidia.com/gpu": test.gpus})
		}
		pod.Status = test.status
		if got := arrives(pod); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
