// Package node plays what NVIDIA's software does on one machine: node-feature-discovery's worker, the device
// plugin with its config manager, gpu-feature-discovery, and the kubelet's device manager behind them.
package node

import (
	"context"
	"log"
	"maps"
	"net/url"
	"strconv"
	"time"

	spec "github.com/NVIDIA/k8s-device-plugin/api/config/v1"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/gpu"
	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

const (
	pluginApp    = "nvidia-device-plugin-daemonset"
	mpsApp       = "nvidia-device-plugin-mps-control-daemon"
	mpsDaemon    = "mps-control-daemon-ctr"
	discoveryApp = "gpu-feature-discovery"
	workerLabels = "app.kubernetes.io/name=node-feature-discovery,role=worker"
)

// Machine is the stand-in of the GPU software on one machine.
type Machine struct {
	api       *kube.Client
	log       *log.Logger
	name      string
	gpus      gpu.Machine
	kubelet   *kubelet
	plugin    *session
	mps       *session
	discovery *session
}

// Run works for the Node of that name until ctx ends.
func Run(ctx context.Context, api *kube.Client, logger *log.Logger, name string, gpus gpu.Machine) {
	machine := &Machine{api: api, log: logger, name: name, gpus: gpus, kubelet: newKubelet(gpu.Seconds(gpus.StopGrace))}
	logger.Printf("node %s: %d x %q", name, gpus.Count, gpus.Product)
	bell := api.NewBell(ctx,
		kube.Collection{Path: "/api/v1/nodes", Query: url.Values{"fieldSelector": {"metadata.name=" + name}}},
		kube.Collection{Path: "/api/v1/pods", Query: url.Values{"fieldSelector": {"spec.nodeName=" + name}}},
	)
	kube.Run(ctx, bell, logger, machine.step)
}

// view is what one step sees.
type view struct {
	node kube.Node
	pods []kube.Pod
	now  time.Time
}

// running returns the newest running pod with a label, or nil.
func (v view) running(key, value string) *kube.Pod {
	var newest *kube.Pod
	for i := range v.pods {
		pod := &v.pods[i]
		if pod.Metadata.Labels[key] == value && pod.Running() &&
			(newest == nil || pod.Metadata.CreationTimestamp.After(*newest.Metadata.CreationTimestamp)) {
			newest = pod
		}
	}
	return newest
}

func (m *Machine) step(ctx context.Context) (time.Duration, error) {
	seen, err := m.look(ctx)
	if kube.IsNotFound(err) {
		return 0, nil // the Node is not registered yet
	}
	if err != nil {
		return 0, err
	}
	if err := m.writeFeatures(ctx, seen); err != nil {
		return 0, err
	}
	if m.plugin, err = m.attend(ctx, seen, m.plugin, pluginApp, "nvidia-device-plugin", m.validate); err != nil {
		return 0, err
	}
	if m.mps, err = m.attend(ctx, seen, m.mps, mpsApp, mpsDaemon, nil); err != nil {
		return 0, err
	}
	if m.discovery, err = m.attend(ctx, seen, m.discovery, discoveryApp, "gpu-feature-discovery", nil); err != nil {
		return 0, err
	}
	if err := m.admit(ctx, seen); err != nil {
		return 0, err
	}
	if err := m.compute(ctx, seen); err != nil {
		return 0, err
	}
	again := m.kubelet.observe(m.served(), seen.now)
	if err := m.writeResources(ctx, seen); err != nil {
		return 0, err
	}
	return soonest(again, m.wake(m.plugin, seen), m.wake(m.mps, seen), m.wake(m.discovery, seen)), m.writeDiscovered(ctx, seen)
}

func (m *Machine) look(ctx context.Context) (view, error) {
	seen := view{now: time.Now()}
	if err := m.api.Get(ctx, m.nodePath(), nil, &seen.node); err != nil {
		return seen, err
	}
	var pods kube.List[kube.Pod]
	err := m.api.Get(ctx, "/api/v1/pods", url.Values{"fieldSelector": {"spec.nodeName=" + m.name}}, &pods)
	seen.pods = pods.Items
	return seen, err
}

func (m *Machine) nodePath() string { return "/api/v1/nodes/" + m.name }

// attend carries on a session with the pod that runs now: none without a pod, a new one for a new pod.
func (m *Machine) attend(
	ctx context.Context, seen view, old *session, app, process string, validate func(*spec.Config) error,
) (*session, error) {
	pod := seen.running("app", app)
	if pod == nil {
		return nil, nil
	}
	current := old
	if current == nil || current.uid != pod.Metadata.UID {
		current = newSession(*pod, process, validate)
		m.log.Printf("%s: pod %s runs, ConfigMap %q", process, pod.Metadata.Name, current.configMap)
	}
	files, err := m.files(ctx, pod.Metadata.Namespace, current.configMap)
	if err != nil {
		return current, err
	}
	current.advance(m.inputs(seen, files), m.log)
	if patch := current.podStatus(*pod); patch != nil {
		path := "/api/v1/namespaces/" + pod.Metadata.Namespace + "/pods/" + pod.Metadata.Name + "/status"
		if err := m.api.Strategic(ctx, path, patch); err != nil && !kube.IsNotFound(err) {
			return current, err
		}
		m.report(ctx, *pod, current)
	}
	return current, nil
}

// validate repeats the device plugin's checks of its flags and of the cards.
func (m *Machine) validate(config *spec.Config) error {
	if err := gpu.ValidatePlugin(config); err != nil {
		return err
	}
	return gpu.ValidateDevices(m.gpus, config)
}

func (m *Machine) inputs(seen view, files map[string]string) inputs {
	return inputs{
		label: seen.node.Metadata.Labels[configLabel], files: files, now: seen.now,
		lag: gpu.Seconds(m.gpus.ConfigMapLag), backoff: gpu.Seconds(m.gpus.CrashBackoff),
	}
}

func (m *Machine) files(ctx context.Context, namespace, name string) (map[string]string, error) {
	if name == "" {
		return nil, nil
	}
	var configMap kube.ConfigMap
	err := m.api.Get(ctx, "/api/v1/namespaces/"+namespace+"/configmaps/"+name, nil, &configMap)
	if kube.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	maps.Copy(files, configMap.Data)
	return files, nil
}

// served is what the device plugin has registered with the kubelet. Under MPS it serves only while the control
// daemon runs beside it with such a configuration.
func (m *Machine) served() map[string]int {
	if m.plugin == nil || m.plugin.config == nil {
		return nil
	}
	config := m.plugin.config
	if config.Sharing.SharingStrategy() == spec.SharingStrategyMPS && !m.mps.servesMPS() {
		return nil
	}
	return gpu.Resources(m.gpus, config)
}

func (m *Machine) writeResources(ctx context.Context, seen view) error {
	patch := m.kubelet.statusPatch(seen.node)
	if patch == nil {
		return nil
	}
	if err := m.api.Merge(ctx, m.nodePath()+"/status", patch); err != nil {
		return err
	}
	m.log.Printf("kubelet: node status %v", patch["status"])
	return nil
}

func (m *Machine) writeFeatures(ctx context.Context, seen view) error {
	var wanted map[string]string
	for _, pod := range seen.pods {
		labels := pod.Metadata.Labels
		if labels["app.kubernetes.io/name"] == "node-feature-discovery" && labels["role"] == "worker" && pod.Running() {
			wanted = features(m.gpus)
		}
	}
	return m.writeLabels(ctx, seen, "node-feature-discovery", workerLabels, wanted, isFeature)
}

func (m *Machine) writeDiscovered(ctx context.Context, seen view) error {
	var wanted map[string]string
	if s := m.discovery; s != nil && s.config != nil {
		labels, err := gpu.Labels(m.gpus, s.config)
		if err != nil {
			m.log.Printf("gpu-feature-discovery: %v", err)
			return nil
		}
		labels["nvidia.com/gfd.timestamp"] = strconv.FormatInt(s.loadedAt.Unix(), 10)
		wanted = labels
	}
	return m.writeLabels(ctx, seen, "gpu-feature-discovery", "app="+discoveryApp, wanted, isDiscovered)
}

// writeLabels sets a program's labels. Without the program they stay until its DaemonSet is gone: they belong to
// an object that the DaemonSet owns.
func (m *Machine) writeLabels(
	ctx context.Context, seen view, who, selector string, wanted map[string]string, owned func(string) bool,
) error {
	changes := labelPatch(seen.node, wanted, owned)
	if len(changes) == 0 {
		return nil
	}
	if wanted == nil {
		var sets kube.List[kube.DaemonSet]
		if err := m.api.Get(ctx, "/apis/apps/v1/daemonsets", url.Values{"labelSelector": {selector}}, &sets); err != nil {
			return err
		}
		if len(sets.Items) > 0 {
			return nil
		}
	}
	if err := m.api.Merge(ctx, m.nodePath(), map[string]any{"metadata": map[string]any{"labels": changes}}); err != nil {
		return err
	}
	m.log.Printf("%s: %d labels changed", who, len(changes))
	return nil
}

func (m *Machine) wake(s *session, seen view) time.Duration {
	if s == nil {
		return 0
	}
	return s.wake(m.inputs(seen, nil))
}
