package node

import (
	"testing"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

func asking(limits map[string]string) kube.Pod {
	pod := kube.Pod{}
	container := kube.Container{Name: "main"}
	container.Resources.Limits = limits
	pod.Spec.Containers = []kube.Container{container}
	return pod
}

func TestOnlyWhatIsServedComputes(t *testing.T) {
	served := map[string]int{"nvidia.com/gpu": 6}
	for name, test := range map[string]struct {
		limits map[string]string
		want   bool
	}{
		"a slice":                    {map[string]string{"nvidia.com/gpu": "1", "cpu": "500m"}, true},
		"more than there is":         {map[string]string{"nvidia.com/gpu": "7"}, false},
		"what is not served":         {map[string]string{"nvidia.com/mig-1g.5gb": "1"}, false},
		"no GPU: that is kwok's pod": {map[string]string{"cpu": "1"}, false},
	} {
		if got := granted(asking(test.limits), served); got != test.want {
			t.Errorf("%s: granted %v", name, got)
		}
	}
}

func TestABrokenCardFailsWhatRunsOnIt(t *testing.T) {
	for _, test := range []struct {
		broken bool
		phase  string
		code   int
	}{{false, "Succeeded", 0}, {true, "Failed", 1}} {
		status := computed(asking(nil), test.broken, "Xid 79")["status"].(map[string]any)
		container := status["containerStatuses"].([]any)[0].(map[string]any)
		end := container["state"].(map[string]any)["terminated"].(map[string]any)
		if status["phase"] != test.phase || end["exitCode"] != test.code {
			t.Errorf("broken %v: %v, %v", test.broken, status["phase"], end)
		}
	}
}
