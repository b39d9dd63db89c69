package node

import (
	"bytes"
	"log"
	"maps"
	"strings"
	"testing"
	"time"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/gpu"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

func sharing(replicas string) string {
	return "version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: " + replicas + "}]}}\n"
}

var files = map[string]string{"none": "version: v1\n", "a-6": sharing("6"), "b-8": sharing("8"), "bad": sharing("1")}

// lab drives one session by hand.
type lab struct {
	t   *testing.T
	s   *session
	in  inputs
	out bytes.Buffer
	pod kube.Pod
}

func newLab(t *testing.T, fallback string) *lab {
	pod := kube.Pod{Metadata: kube.Meta{Name: "plugin", Namespace: "gpu-operator", UID: "u"}}
	pod.Status.Phase = "Running"
	pod.Spec.InitContainers = []kube.Container{{
		Name: configInit, Env: []kube.Env{{Name: "DEFAULT_CONFIG", Value: fallback}},
		VolumeMounts: []kube.Mount{{Name: "config", Path: "/config"}, {Name: "time-slicing-config", Path: "/available-configs"}},
	}}
	pod.Spec.Containers = []kube.Container{{Name: "nvidia-device-plugin"}, {Name: configSidecar}}
	s := newSession(pod, "nvidia-device-plugin", gpu.ValidatePlugin)
	if s.configMap != "time-slicing-config" {
		t.Fatalf("ConfigMap %q", s.configMap)
	}
	return &lab{t: t, s: s, pod: pod, in: inputs{files: maps.Clone(files), backoff: 10 * time.Second, now: time.Unix(1000, 0)}}
}

// step plays one step after some seconds; slices is what the program then offers for one card, -1 while it is down.
func (l *lab) step(seconds, slices int, why string) {
	l.t.Helper()
	l.in.now = l.in.now.Add(time.Duration(seconds) * time.Second)
	l.s.advance(l.in, log.New(&l.out, "", 0))
	got := -1
	if l.s.config != nil {
		got = gpu.Resources(gpu.Machine{Count: 1}, l.s.config)["nvidia.com/gpu"]
	}
	if got != slices {
		l.t.Fatalf("%s: offers %d, want %d\n%s", why, got, slices, l.out.String())
	}
}

func (l *lab) reasons() string {
	inits, mains := l.s.problems(l.pod)
	var all []string
	for _, container := range append(l.pod.Spec.InitContainers, l.pod.Spec.Containers...) {
		for _, problems := range []map[string]trouble{inits, mains} {
			if problem, bad := problems[container.Name]; bad {
				all = append(all, container.Name+"="+problem.reason)
			}
		}
	}
	return strings.Join(all, " ")
}

func TestLabelElseDefaultElseEmpty(t *testing.T) {
	l := newLab(t, "")
	l.step(0, 1, "no label, no default: no file")
	l.in.label = "a-6"
	l.step(1, 6, "label")
	l.in.label = "b-8"
	l.step(1, 8, "label change is hot")
	l.in.label = ""
	l.step(1, 1, "unlabelled")
	l = newLab(t, "b-8")
	l.step(0, 8, "default")
	if l.reasons() != "" {
		t.Error(l.reasons())
	}
}

func TestContentAloneIsNotNoticed(t *testing.T) {
	l := newLab(t, "a-6")
	l.step(0, 6, "start")
	l.in.files["a-6"] = sharing("9")
	l.step(100, 6, "content changed")
	l.in.label = "b-8"
	l.step(1, 8, "label changed")
	l.in.label = "a-6"
	l.step(1, 9, "and back: the file is read anew")
}

func TestLabelAheadOfTheMountedFiles(t *testing.T) {
	l := newLab(t, "")
	l.in.lag, l.in.label = 5*time.Second, "a-6"
	l.step(0, 6, "start")
	l.in.files["c-4"] = sharing("4")
	l.in.label = "c-4"
	l.step(1, 6, "the key is not mounted yet: old config stays")
	if got := l.reasons(); got != "config-manager=CrashLoopBackOff" {
		t.Error(got)
	}
	if !strings.Contains(l.out.String(), "specified config c-4 does not exist") {
		t.Error(l.out.String())
	}
	l.step(6, 6, "mounted now, but the sidecar waits for its restart")
	l.step(5, 4, "sidecar started again")
}

func TestInitFailsWithoutTheDefault(t *testing.T) {
	l := newLab(t, "later")
	l.in.label = "a-6"
	l.step(0, -1, "default missing at start, whatever the label says")
	if got := l.reasons(); got != "config-manager-init=CrashLoopBackOff nvidia-device-plugin=PodInitializing config-manager=PodInitializing" {
		t.Error(got)
	}
	l.in.files["later"] = sharing("4")
	l.step(1, -1, "still in back-off")
	l.step(10, 6, "started again")
}

func TestLinkToARemovedFileIsNeverReplaced(t *testing.T) {
	l := newLab(t, "none")
	l.in.label = "a-6"
	l.step(0, 6, "start")
	delete(l.in.files, "a-6")
	l.in.label = "b-8"
	for range 3 {
		l.step(300, 6, "the old link leads nowhere")
		if got := l.reasons(); got != "config-manager=CrashLoopBackOff" {
			t.Error(got)
		}
	}
	if !strings.Contains(l.out.String(), "error creating symlink: symlink /available-configs/none /config/config.yaml: file exists") {
		t.Error(l.out.String())
	}
}

func TestMPSDaemonKnowsTheDefaultAlone(t *testing.T) {
	mps := strings.ReplaceAll(sharing("4"), "timeSlicing", "mps")
	for fallback, want := range map[string]bool{"none": false, "clients": true} {
		l := newLab(t, fallback)
		l.s.deaf, l.s.validate = true, nil
		l.in.files["clients"], l.in.label = mps, "clients"
		for range 3 {
			l.in.now = l.in.now.Add(300 * time.Second)
			l.s.advance(l.in, log.New(&l.out, "", 0))
			if got := l.s.servesMPS(); got != want || want == (l.s.sidecar.err != nil) {
				t.Errorf("default %s: serves MPS: %v, config manager: %v", fallback, got, l.s.sidecar.err)
			}
		}
	}
}

func TestPodWaitsForItsConfigMap(t *testing.T) {
	l := newLab(t, "")
	l.in.files = nil
	l.step(0, -1, "no ConfigMap")
	if got := l.reasons(); !strings.HasPrefix(got, "config-manager-init=PodInitializing") {
		t.Error(got)
	}
	l.in.files = files
	l.step(1, 1, "it appears")
	l.in.files = nil
	l.in.label = "b-8"
	l.step(1, 8, "it is deleted: the mounted files stay")
}

func TestPluginCrashesOnABadFile(t *testing.T) {
	l := newLab(t, "a-6")
	l.step(0, 6, "start")
	l.in.label = "bad"
	l.step(1, -1, "replicas 1")
	if got := l.reasons(); got != "nvidia-device-plugin=CrashLoopBackOff" {
		t.Error(got)
	}
	if got := l.s.program.err.Error(); !strings.HasSuffix(got, "number of replicas must be >= 2") {
		t.Error(got)
	}
	l.step(10, -1, "once more")
	if l.s.program.restarts != 2 || l.s.program.pause != 20*time.Second {
		t.Errorf("%+v", l.s.program)
	}
	l.in.label = "b-8"
	l.step(1, -1, "in back-off: nobody is there to get the signal")
	if got := l.reasons(); got != "nvidia-device-plugin=CrashLoopBackOff config-manager=CrashLoopBackOff" {
		t.Error(got)
	}
	l.step(20, 8, "both start again, the plugin with the file that was linked")
}

func TestPodStatus(t *testing.T) {
	l := newLab(t, "a-6")
	l.pod.Status.ContainerStatuses = []map[string]any{
		{"name": "nvidia-device-plugin", "ready": true, "containerID": "x", "state": map[string]any{"running": map[string]any{}}},
		{"name": configSidecar, "ready": true, "state": map[string]any{"running": map[string]any{}}},
	}
	l.step(0, 6, "start")
	if patch := l.s.podStatus(l.pod); patch != nil {
		t.Errorf("healthy pod patched: %v", patch)
	}
	l.in.label = "bad"
	l.step(1, -1, "crash")
	patch := l.s.podStatus(l.pod)["status"].(map[string]any)
	program := patch["containerStatuses"].([]map[string]any)[0]
	if program["ready"] != false || program["containerID"] != "x" {
		t.Errorf("%v", program)
	}
	l.pod.Status.ContainerStatuses = patch["containerStatuses"].([]map[string]any)
	l.pod.Status.InitContainerStatuses = patch["initContainerStatuses"].([]map[string]any)
	if again := l.s.podStatus(l.pod); again != nil {
		t.Errorf("patched twice: %v", again)
	}
	l.in.label = "a-6"
	l.step(20, -1, "started again, before the other file was linked")
	l.step(20, 6, "healed")
	patch = l.s.podStatus(l.pod)["status"].(map[string]any)
	if program := patch["containerStatuses"].([]map[string]any)[0]; program["ready"] != true {
		t.Errorf("%v", program)
	}
}

func TestChooseHasTheConfigManagersWords(t *testing.T) {
	for _, test := range []struct{ label, fallback, want string }{
		{"x", "", "specified config x does not exist"},
		{"", "x", "specified config  does not exist"}, // really without a name
	} {
		if _, err := choose(test.label, test.fallback, files); err == nil || err.Error() != test.want {
			t.Errorf("%+v: %v", test, err)
		}
	}
	if _, err := choose("", "", nil); err == nil {
		t.Error("an empty ConfigMap was accepted")
	}
}
