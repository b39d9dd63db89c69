package operator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

func policy(t *testing.T, spec string) Policy {
	t.Helper()
	p := Policy{Metadata: kube.Meta{Name: "cluster-policy", UID: "u"}}
	if err := json.Unmarshal([]byte(spec), &p.Spec); err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	plain     = `{"operator": {"runtimeClass": "nvidia"}, "devicePlugin": {"repository": "r", "image": "i", "version": "v"}, "mig": {"strategy": "single"}}`
	shared    = `{"operator": {"runtimeClass": "nvidia"}, "devicePlugin": {"repository": "r", "image": "i", "version": "v", "config": {"name": "time-slicing-config", "default": "a"}}, "mig": {"strategy": "single"}}`
	sharedToo = `{"operator": {"runtimeClass": "nvidia"}, "devicePlugin": {"repository": "r", "image": "i", "version": "v", "config": {"name": "time-slicing-config", "default": "b"}}, "mig": {"strategy": "single"}}`
)

func find(t *testing.T, name string) operand {
	t.Helper()
	for _, o := range operands {
		if o.name == name {
			return o
		}
	}
	t.Fatalf("no operand %s", name)
	return operand{}
}

// podOf returns the pod template as an API server would store it.
func podOf(t *testing.T, set object) kube.Pod {
	t.Helper()
	text, err := json.Marshal(set["spec"].(object)["template"])
	if err != nil {
		t.Fatal(err)
	}
	var pod kube.Pod
	if err := json.Unmarshal(text, &pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

func TestSharingAddsTheConfigManager(t *testing.T) {
	plugin := find(t, "nvidia-device-plugin-daemonset")
	if _, there := podOf(t, plugin.daemonSet(policy(t, plain), "ns")).Container("config-manager"); there {
		t.Error("config manager without a ConfigMap")
	}
	pod := podOf(t, plugin.daemonSet(policy(t, shared), "ns"))
	for _, name := range []string{"config-manager-init", "config-manager"} {
		manager, there := pod.Container(name)
		if value, _ := manager.Value("DEFAULT_CONFIG"); !there || value != "a" {
			t.Errorf("%s: DEFAULT_CONFIG %q", name, value)
		}
		if mount := manager.VolumeMounts[1]; mount.Name != "time-slicing-config" {
			t.Errorf("%s: volume %q", name, mount.Name)
		}
	}
	main, _ := pod.Container("nvidia-device-plugin")
	for name, want := range map[string]string{"CONFIG_FILE": "/config/config.yaml", "MIG_STRATEGY": "single", "MPS_ROOT": "/run/nvidia/mps"} {
		if got, _ := main.Value(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestNameAndDefaultRollOnlyWhatShares(t *testing.T) {
	var rolled []string
	for _, o := range operands {
		hashes := map[any]bool{}
		for _, spec := range []string{plain, shared, sharedToo} {
			set := o.daemonSet(policy(t, spec), "ns")
			hashes[set["metadata"].(object)["annotations"].(object)[hashAnnotation]] = true
		}
		if len(hashes) == 3 {
			rolled = append(rolled, o.name)
		} else if len(hashes) != 1 {
			t.Errorf("%s: %d hashes", o.name, len(hashes))
		}
	}
	want := []string{"nvidia-device-plugin-daemonset", "nvidia-device-plugin-mps-control-daemon", "gpu-feature-discovery"}
	if !reflect.DeepEqual(rolled, want) {
		t.Errorf("rolled: %v", rolled)
	}
}

func TestComponentsOwnEnvironmentWins(t *testing.T) {
	spec := `{"devicePlugin": {"env": [{"name": "MIG_STRATEGY", "value": "none"}, {"name": "X", "value": "1"}]}, "mig": {"strategy": "single"}}`
	main, _ := podOf(t, find(t, "nvidia-device-plugin-daemonset").daemonSet(policy(t, spec), "ns")).Container("nvidia-device-plugin")
	if value, _ := main.Value("MIG_STRATEGY"); value != "none" {
		t.Errorf("MIG_STRATEGY %q", value)
	}
	if value, _ := main.Value("X"); value != "1" {
		t.Errorf("X %q", value)
	}
}

func TestPluginServesDevicesByCDI(t *testing.T) {
	const off = `{"cdi": {"enabled": false}}`
	for spec, want := range map[string]string{plain: "cdi-annotations,cdi-cri", off: "envvar"} {
		pod := podOf(t, find(t, "nvidia-device-plugin-daemonset").daemonSet(policy(t, spec), "ns"))
		main, _ := pod.Container("nvidia-device-plugin")
		if got, _ := main.Value("DEVICE_LIST_STRATEGY"); got != want {
			t.Errorf("%s: DEVICE_LIST_STRATEGY %q, want %q", spec, got, want)
		}
		if _, set := main.Value("CDI_ENABLED"); set != (spec != off) {
			t.Errorf("%s: CDI_ENABLED set: %v", spec, set)
		}
	}
}

func TestNodeLabels(t *testing.T) {
	node := func(labels ...string) kube.Node {
		n := kube.Node{Metadata: kube.Meta{Labels: map[string]string{}}}
		for _, label := range labels {
			key, value, _ := strings.Cut(label, "=")
			n.Metadata.Labels[key] = value
		}
		return n
	}
	const pci = "feature.node.kubernetes.io/pci-10de.present=true"
	spec := policy(t, `{"migManager": {"config": {"default": "all-disabled"}}}`).Spec
	if got := nodeLabels(node(pci), spec); len(got) != 10 || got[present] != "true" || got["nvidia.com/gpu.deploy.device-plugin"] != "true" {
		t.Errorf("GPU node: %v", got)
	}
	if got := nodeLabels(node(), spec); len(got) != 0 {
		t.Errorf("node without GPU: %v", got)
	}
	if got := nodeLabels(node(pci, "nvidia.com/gpu.deploy.device-plugin=false"), spec); got["nvidia.com/gpu.deploy.device-plugin"] != nil {
		t.Errorf("preset value changed: %v", got)
	}
	got := nodeLabels(node(pci, "nvidia.com/gpu.deploy.operands=false", "nvidia.com/gpu.deploy.dcgm=true"), spec)
	if want := map[string]any{present: "true", "nvidia.com/gpu.deploy.dcgm": nil}; !reflect.DeepEqual(got, want) {
		t.Errorf("operands=false: %v", got)
	}
	if got := nodeLabels(node(pci, "nvidia.com/mig.capable=true"), spec); got[migManager] != "true" || got["nvidia.com/mig.config"] != "all-disabled" {
		t.Errorf("MIG: %v", got)
	}
	if got := nodeLabels(node("nvidia.com/gpu.present=true", "nvidia.com/gpu.deploy.dcgm=true"), spec); got[present] != "false" || len(got) != 2 {
		t.Errorf("GPU gone: %v", got)
	}
}

func TestStatusSaysWhatTheVendorSays(t *testing.T) {
	for _, test := range []struct {
		outcome                     outcome
		state, ready, error, reason string
		message                     string
	}{
		{outcome{}, "ready", "True", "False", "NFDLabelsMissing", "No NFD labels found"},
		{outcome{features: true}, "ready", "True", "False", "NoGPUNodes", "No GPU node found"},
		{outcome{features: true, gpus: true}, "ready", "True", "False", "Reconciled", "successfully reconciled"},
		{outcome{features: true, gpus: true, notReady: []string{"state-operator-validation", "state-device-plugin"}}, "notReady", "False", "True",
			"OperandNotReady", "ClusterPolicy is not ready, states not ready: [state-operator-validation state-device-plugin]"},
		{outcome{failure: "Failed to reconcile x: y"}, "notReady", "False", "True", "ReconcileFailed", "Failed to reconcile x: y"},
	} {
		got := test.outcome.status("ns", Status{}, "now")
		ready, failed := got.Conditions[0], got.Conditions[1]
		said := ready
		if failed.Status == "True" {
			said = failed
		}
		if got.State != test.state || ready.Status != test.ready || failed.Status != test.error || said.Reason != test.reason || !strings.Contains(said.Message, test.message) {
			t.Errorf("%+v: %+v", test.outcome, got)
		}
	}
}

func TestConditionKeepsItsTime(t *testing.T) {
	first := outcome{}.status("ns", Status{}, "then")
	if again := (outcome{features: true}).status("ns", first, "now"); again.Conditions[0].LastTransitionTime != "then" {
		t.Error(again)
	}
	if again := (outcome{failure: "x"}).status("ns", first, "now"); again.Conditions[0].LastTransitionTime != "now" {
		t.Error(again)
	}
}

func TestReadyHasTheVendorsBlindSpots(t *testing.T) {
	set := func(generation, observed int64, desired, updated, unavailable int) kube.DaemonSet {
		return kube.DaemonSet{Metadata: kube.Meta{Generation: generation},
			Status: kube.DaemonSetStatus{ObservedGeneration: observed, Desired: desired, Updated: updated, Unavailable: unavailable}}
	}
	for _, test := range []struct {
		why   string
		set   kube.DaemonSet
		since time.Duration
		want  bool
	}{
		{"new, nothing scheduled yet", set(1, 0, 0, 0, 0), time.Hour, true},
		{"new, pods starting", set(1, 1, 2, 2, 1), time.Hour, false},
		{"well", set(1, 1, 2, 2, 0), time.Hour, true},
		{"just changed", set(2, 1, 2, 0, 0), 0, true},
		{"rolling", set(2, 2, 2, 1, 1), time.Hour, true},
		{"rolled, new pod not ready for a moment", set(2, 2, 2, 2, 1), time.Second, true},
		{"rolled, new pod fails", set(2, 2, 2, 2, 1), time.Minute, false},
	} {
		if got := ready(test.set, test.since); got != test.want {
			t.Errorf("%s: %v", test.why, got)
		}
	}
}

func TestProgramsStartWhenTheirForerunnersAreValidated(t *testing.T) {
	for name, want := range map[string][]string{
		"nvidia-device-plugin-daemonset":          {"toolkit-validation", "config-manager-init"},
		"nvidia-device-plugin-mps-control-daemon": {"toolkit-validation", "mps-control-daemon-mounts", "config-manager-init"},
		"gpu-feature-discovery":                   {"toolkit-validation", "config-manager-init"},
		"nvidia-operator-validator":               {"driver-validation", "toolkit-validation", "cuda-validation", "plugin-validation"},
		"nvidia-container-toolkit-daemonset":      {"driver-validation"},
		"nvidia-dcgm-exporter":                    {"toolkit-validation"},
	} {
		var got []string
		for _, container := range podOf(t, find(t, name).daemonSet(policy(t, shared), "ns")).Spec.InitContainers {
			got = append(got, container.Name)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestEveryMountHasItsVolume(t *testing.T) {
	for _, o := range operands {
		pod := o.podSpec(policy(t, shared).Spec)
		volumes := map[any]bool{}
		for _, volume := range pod["volumes"].([]any) {
			volumes[volume.(object)["name"]] = true
		}
		inits, _ := pod["initContainers"].([]any)
		for _, container := range append(inits, pod["containers"].([]any)...) {
			mounts, _ := container.(object)["volumeMounts"].([]any)
			for _, mount := range mounts {
				if name := mount.(object)["name"]; !volumes[name] {
					t.Errorf("%s, %s: no volume %s", o.name, container.(object)["name"], name)
				}
			}
		}
	}
}

func TestAccountComesAfterItsRights(t *testing.T) {
	for account, want := range map[string][]string{
		"nvidia-device-plugin":         {"ClusterRole", "ClusterRoleBinding", "ConfigMap", "ServiceAccount"},
		"nvidia-gpu-feature-discovery": {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"},
		"nvidia-dcgm":                  {"ServiceAccount"},
	} {
		var got []string
		for _, made := range accountObjects(account, policy(t, shared), "ns") {
			got = append(got, made.object["kind"].(string))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", account, got, want)
		}
	}
}

func TestOnlyOneControllerWorksForThePod(t *testing.T) {
	for handlers, real := range map[string]bool{`[]`: false, `[{"name": "nvidia"}]`: true} {
		answers := map[string]string{
			"/apis/apps/v1/deployments":  `{"items": [{"metadata": {"namespace": "ns"}}]}`,
			"/api/v1/namespaces/ns/pods": `{"items": [{"spec": {"nodeName": "n"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}]}`,
			"/api/v1/nodes/n":            `{"status": {"runtimeHandlers": ` + handlers + `}}`,
		}
		for _, inPod := range []bool{false, true} {
			controller := Controller{api: serve(t, answers), inPod: inPod}
			namespace, err := controller.home(t.Context())
			if works := namespace == "ns"; err != nil || works != (inPod == real) {
				t.Errorf("handlers %s, in the pod: %v: %q, %v", handlers, inPod, namespace, err)
			}
		}
	}
}

// serve returns the client of an API server that has these answers.
func serve(t *testing.T, answers map[string]string) *kube.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: "` +
		server.URL + `"}}], users: [{name: u, user: {}}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := kube.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
