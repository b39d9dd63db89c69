package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// kubeletFile says which kubelet the machine's node has: "real" or "kwok", which is the default.
	kubeletFile      = "/etc/standin/kubelet"
	cniPrograms      = "/opt/standin/cni"
	cniDir           = agentDir + "/etc/cni/net.d"
	kubeletConfigDir = agentDir + "/etc/kubelet.conf.d"
	podManifests     = agentDir + "/pod-manifests"
	proxyKubeconfig  = agentDir + "/kubeproxy.kubeconfig"
)

// kubeletIsReal tells whether this machine can carry a real kubelet and containers, as the lab decided.
func kubeletIsReal() bool { return readText(kubeletFile) == "real" }

// startRealNode starts containerd, the kubelet and kube-proxy, and returns once the Node is registered.
func startRealNode(ctx context.Context, cfg *config, from *server, node *nodeFacts, registrar *kubeAPI, programs *children) error {
	if err := checkKubeletVersion(ctx); err != nil {
		return err
	}
	if err := startContainerd(ctx, programs); err != nil {
		return err
	}
	for _, folder := range []string{cniDir, podManifests} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	if err := importImages(ctx); err != nil {
		return err
	}
	network, err := from.clusterNetwork(ctx)
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(kubeletConfiguration(node, network), "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(kubeletConfigDir+"/00-k3s-defaults.conf", content, 0o600); err != nil {
		return err
	}
	programs.essential("kubelet", append(kubeletArgs(node), asFlags(cfg.list("kubelet-arg"))...)...)
	if err := awaitKubelet(ctx, programs); err != nil {
		return err
	}
	if err := labelNode(ctx, registrar, node, programs); err != nil {
		return err
	}
	proxy, err := newKubeAPI(from.url, from.caPEM, agentDir+"/client-kube-proxy")
	if err != nil {
		return err
	}
	programs.essential("kube-proxy", append([]string{
		"--kubeconfig=" + proxyKubeconfig, "--hostname-override=" + node.name, "--cluster-cidr=" + network.ClusterCIDR,
		"--proxy-mode=iptables", "--healthz-bind-address=127.0.0.1", "--metrics-bind-address=127.0.0.1",
		// These settings belong to the computer, which a machine cannot change.
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
	}, asFlags(cfg.list("kube-proxy-arg"))...)...)
	programs.wait.Go(func() { connectPods(programs.ctx, proxy, node.name) })
	return nil
}

// checkKubeletVersion: a kubelet reports the version that it was built with, whatever release is played.
func checkKubeletVersion(ctx context.Context) error {
	output, err := exec.CommandContext(ctx, filepath.Join(toolDir, "kubelet"), "--version").Output()
	if err != nil {
		return fmt.Errorf("kubelet --version: %w", err)
	}
	if found := strings.TrimSpace(strings.TrimPrefix(string(output), "Kubernetes ")); found != version {
		return fmt.Errorf("k3s stand-in: found release %s on a machine with a real kubelet of %s, expected %s", version, found, found)
	}
	return nil
}

// kubeletConfiguration is what k3s lays down for its kubelet, as far as the machine carries it.
func kubeletConfiguration(node *nodeFacts, network clusterNetwork) map[string]any {
	driver := "cgroupfs"
	if controlGroupsV2() {
		driver = "systemd"
	}
	configuration := map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address": "0.0.0.0", "healthzBindAddress": "127.0.0.1", "readOnlyPort": 0,
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false}, "webhook": map[string]any{"enabled": true},
			"x509": map[string]any{"clientCAFile": agentDir + "/client-ca.crt"},
		},
		"authorization": map[string]any{"mode": "Webhook"},
		"tlsCertFile":   agentDir + "/serving-kubelet.crt", "tlsPrivateKeyFile": agentDir + "/serving-kubelet.key",
		"cgroupDriver": driver, "clusterDomain": network.ClusterDomain,
		"containerRuntimeEndpoint": "unix://" + containerdSocket,
		"evictionHard":             map[string]string{"imagefs.available": "5%", "nodefs.available": "5%"},
		"evictionMinimumReclaim":   map[string]string{"imagefs.available": "10%", "nodefs.available": "10%"},
		"failSwapOn":               false, "serializeImagePulls": false, "staticPodPath": podManifests,
		"providerID": "k3s://" + node.name, "registerWithTaints": taintsWithEffect(node.taints),
	}
	if hasOwnControlGroups() {
		configuration["failCgroupV1"] = false
	}
	return configuration
}

// taintsWithEffect keeps the list from being null, which the kubelet's own reader refuses.
func taintsWithEffect(taints []taint) []taint { return append([]taint{}, taints...) }

func kubeletArgs(node *nodeFacts) []string {
	var labels []string
	for _, key := range slices.Sorted(maps.Keys(node.labels)) {
		if checkLabels([]string{key}) == nil {
			labels = append(labels, key+"="+node.labels[key])
		}
	}
	return []string{
		"--config-dir=" + kubeletConfigDir, "--kubeconfig=" + agentDir + "/kubelet.kubeconfig",
		"--hostname-override=" + node.name, "--node-ip=" + strings.Join(node.addresses, ","),
		"--node-labels=" + strings.Join(labels, ","),
	}
}

// awaitKubelet waits until the kubelet listens, so that the API has logs of running containers once the unit is up.
func awaitKubelet(ctx context.Context, programs *children) error {
	return programs.await(ctx, "kubelet", 100*time.Millisecond, func() error {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", kubeletPort), time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// labelNode waits until the kubelet has registered the Node, and puts on it what k3s puts there: labels that
// no kubelet may give itself, annotations and the etcd member's finalizer.
func labelNode(ctx context.Context, registrar *kubeAPI, node *nodeFacts, programs *children) error {
	metadata := map[string]any{"labels": node.labels, "annotations": node.annotations}
	if node.finalizers != nil {
		metadata["finalizers"] = node.finalizers
	}
	err := programs.await(ctx, "node "+node.name+" to be registered", 200*time.Millisecond, func() error {
		return registrar.do(ctx, http.MethodPatch, "/api/v1/nodes/"+node.name, asMerge, map[string]any{"metadata": metadata}, nil)
	})
	if err == nil {
		logInfo("Successfully registered node %s", node.name)
	}
	return err
}

// clusterNetwork is what a node must know of the cluster's network.
type clusterNetwork struct {
	Version       string `json:"version"`
	ClusterCIDR   string `json:"clusterCIDR"`
	ClusterDomain string `json:"clusterDomain"`
}

func (s *server) clusterNetwork(ctx context.Context) (clusterNetwork, error) {
	var answer clusterNetwork
	content, err := s.get(ctx, "config", nil)
	if err == nil {
		err = json.Unmarshal(content, &answer)
	}
	return answer, err
}
