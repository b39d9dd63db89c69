package main

import (
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed stages.yaml
var stagesYAML []byte

const (
	stagesFile  = agentDir + "/etc/stages.yaml"
	kubeletPort = 10250
)

// nodeFacts is what a node says about itself when it registers.
type nodeFacts struct {
	name      string
	hostname  string
	addresses []string // node-ip, the first one is the node's main address
	external  []string
	labels    map[string]string
	taints    []taint
	maxPods   int
	// A server's node says which etcd member it is, and stays until that is removed.
	annotations map[string]string
	finalizers  []string
}

type taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

// describeNode gathers the node's facts. Without node-ip its address is the one that
// reaches the server, or the machine's first.
func describeNode(cfg *config, serverURL string) (*nodeFacts, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	node := &nodeFacts{
		name: strings.ToLower(firstOf(cfg.str("node-name"), hostname)), hostname: hostname,
		addresses: uniqueInOrder(splitCommas(cfg.list("node-ip"))), external: uniqueInOrder(splitCommas(cfg.list("node-external-ip"))),
	}
	if len(node.addresses) == 0 {
		address, err := ownAddress(serverURL)
		if err != nil {
			return nil, err
		}
		node.addresses = []string{address}
	}
	for _, address := range append(node.addresses, node.external...) {
		if net.ParseIP(address) == nil {
			return nil, fmt.Errorf("invalid node-ip: found %q, expected an IP address", address)
		}
	}
	node.annotations = map[string]string{
		"k3s.io/hostname": node.hostname, "k3s.io/internal-ip": strings.Join(node.addresses, ","),
		"k3s.io/stand-in": "kubelet, containers and GPUs of this node are simulated",
	}
	if kubeletIsReal() {
		node.annotations["k3s.io/stand-in"] = "k3s's packaging of this node is a stand-in; its kubelet and containers are real"
	}
	if node.maxPods, err = maxPods(cfg); err != nil {
		return nil, err
	}
	if len(node.external) > 0 {
		node.annotations["k3s.io/external-ip"] = strings.Join(node.external, ",")
	}
	node.labels = map[string]string{
		"kubernetes.io/hostname": node.name, "kubernetes.io/arch": runtime.GOARCH, "kubernetes.io/os": "linux",
		"beta.kubernetes.io/arch": runtime.GOARCH, "beta.kubernetes.io/os": "linux",
		"node.kubernetes.io/instance-type": "k3s", "beta.kubernetes.io/instance-type": "k3s",
	}
	var given []string
	for _, label := range splitCommas(cfg.list("node-label")) {
		if key, value, found := strings.Cut(label, "="); found {
			node.labels[key] = value
			given = append(given, key)
		} else if label != "" {
			return nil, fmt.Errorf("invalid node-label: found %q, expected key=value", label)
		}
	}
	if err := checkLabels(given); err != nil {
		return nil, err
	}
	for _, text := range splitCommas(cfg.list("node-taint")) {
		if text == "" {
			continue
		}
		parsed, err := parseTaint(text)
		if err != nil {
			return nil, err
		}
		node.taints = append(node.taints, parsed)
	}
	return node, nil
}

// maxPods is the one kubelet argument that has an effect here.
func maxPods(cfg *config) (int, error) {
	most := 110
	for _, arg := range cfg.list("kubelet-arg") {
		value, found := strings.CutPrefix(strings.TrimLeft(arg, "-"), "max-pods=")
		if !found {
			continue
		}
		number, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("kubelet exited: invalid argument %q for \"--max-pods\" flag", value)
		}
		most = number
	}
	return most, nil
}

// parseTaint reads key=value:Effect or key:Effect.
func parseTaint(text string) (taint, error) {
	left, effect, found := strings.Cut(text, ":")
	key, value, _ := strings.Cut(left, "=")
	if !found || key == "" {
		return taint{}, fmt.Errorf("invalid node-taint: found %q, expected key=value:Effect", text)
	}
	if !slices.Contains(taintEffects, effect) {
		return taint{}, fmt.Errorf("invalid node-taint: %q: invalid taint effect: %s, unsupported taint effect", text, effect)
	}
	return taint{Key: key, Value: value, Effect: effect}, nil
}

// ownAddress is the source address towards the server, else the first address of the machine.
func ownAddress(serverURL string) (string, error) {
	if parsed, err := url.Parse(serverURL); err == nil && parsed.Host != "" {
		// Connecting UDP sends nothing, it only looks up the route.
		if conn, err := net.Dial("udp", parsed.Host); err == nil {
			defer conn.Close()
			return conn.LocalAddr().(*net.UDPAddr).IP.String(), nil
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() && network.IP.To4() != nil {
			return network.IP.String(), nil
		}
	}
	return "", errors.New("no address found for this node; set node-ip in " + configFile)
}

func uniqueInOrder(values []string) []string {
	seen := map[string]bool{"": true}
	var unique []string
	for _, value := range values {
		if !seen[value] {
			seen[value] = true
			unique = append(unique, value)
		}
	}
	return unique
}

func makeAgentFolders() error {
	for _, path := range []string{"/etc/rancher/k3s", "/etc/rancher/node", dataDir} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	}
	return os.MkdirAll(agentDir, 0o700)
}

// startNode joins the server, by the address via, and starts the node's programs: those of a real node, or what
// plays one, which is kwok for the kubelet and gpusim where the machine has simulated GPUs. It returns once the Node
// is there.
//
// registrar registers the Node; nil means the node itself, as kubelets do. The server's
// own node carries a role label, which no node may give itself.
func startNode(ctx context.Context, cfg *config, target joinTarget, via string, node *nodeFacts, registrar *kubeAPI, programs *children) (*server, error) {
	from, err := findServer(ctx, target, via)
	if err != nil {
		return nil, err
	}
	if err := joinServerAs(ctx, from, node); err != nil {
		return nil, err
	}
	own, err := newKubeAPI(from.url, from.caPEM, agentDir+"/client-kubelet")
	if err != nil {
		return nil, err
	}
	if registrar == nil {
		registrar = own
	}
	if kubeletIsReal() {
		return from, startRealNode(ctx, cfg, from, node, registrar, programs)
	}
	err = errors.Join(serveKubeletPort(programs.ctx), writeFile(stagesFile, stagesYAML, 0o600))
	if err != nil {
		return nil, err
	}
	if err := register(ctx, registrar, own, node); err != nil {
		return nil, err
	}
	go renewLease(programs.ctx, own, node.name)
	kubeconfig := agentDir + "/kubelet.kubeconfig"
	programs.restarted("kwok", "--kubeconfig", kubeconfig, "--config", stagesFile, "--manage-single-node", node.name,
		"--node-name", node.name, "--node-ip", node.addresses[0], "--node-lease-duration-seconds", "0", "--v", "WARN")
	if !exists(gpusFile) {
		return from, nil
	}
	if !toolExists("gpusim") {
		logWarn("stand-in: %s exists, but %s/gpusim does not: this node will show no GPUs", gpusFile, toolDir)
		return from, nil
	}
	programs.restarted("gpusim", "node", "--kubeconfig", kubeconfig, "--node", node.name, "--gpus", gpusFile)
	return from, nil
}

// serveKubeletPort holds the kubelet's port with the kubelet's certificate. It answers what a
// kubelet answers to strangers; there are no containers to show logs of or run commands in.
func serveKubeletPort(ctx context.Context) error {
	pair, err := tls.LoadX509KeyPair(agentDir+"/serving-kubelet.crt", agentDir+"/serving-kubelet.key")
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", fmt.Sprintf(":%d", kubeletPort), &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		return fmt.Errorf("kubelet: failed to listen: %w", err)
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	server := &http.Server{
		ErrorLog: log.New(logWriter{}, "", 0),
		Handler: http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
			for _, prefix := range []string{"/containerLogs/", "/exec/", "/attach/", "/portForward/"} {
				if strings.HasPrefix(request.URL.Path, prefix) {
					http.Error(writer, "k3s stand-in: containers are simulated: no logs, exec, attach or port-forward", http.StatusNotImplemented)
					return
				}
			}
			http.Error(writer, "Unauthorized", http.StatusUnauthorized)
		}),
	}
	go server.Serve(listener) //nolint:errcheck // ends when the listener is closed
	return nil
}

// register creates the Node or brings its labels up to date, then reports its status. It tries until
// the API takes it.
func register(ctx context.Context, registrar, own *kubeAPI, node *nodeFacts) error {
	for {
		err := registerOnce(ctx, registrar, own, node)
		if err == nil {
			logInfo("Successfully registered node %s", node.name)
			return nil
		}
		logError("Unable to register node %s with API server: %v", node.name, err)
		if err := pause(ctx, 2*time.Second); err != nil {
			return err
		}
	}
}

func registerOnce(ctx context.Context, registrar, own *kubeAPI, node *nodeFacts) error {
	path := nodesPath + node.name
	metadata := map[string]any{"name": node.name, "labels": node.labels, "annotations": node.annotations}
	if node.finalizers != nil {
		metadata["finalizers"] = node.finalizers
	}
	err := registrar.do(ctx, http.MethodPatch, path, asMerge, map[string]any{"metadata": metadata}, nil)
	if hasStatus(err, http.StatusNotFound) {
		err = registrar.do(ctx, http.MethodPost, "/api/v1/nodes", asJSON, map[string]any{
			"apiVersion": "v1", "kind": "Node", "metadata": metadata,
			// Taints apply at registration only, as in k3s.
			"spec": map[string]any{"providerID": "k3s://" + node.name, "taints": node.taints},
		}, nil)
	}
	if err != nil {
		return err
	}
	return own.do(ctx, http.MethodPatch, path+"/status", asPatch, map[string]any{"status": nodeStatus(node)}, nil)
}

// nodeStatus is the status of a healthy node with this machine's size. Extended
// resources (GPUs) are not named and so stay as they are.
func nodeStatus(node *nodeFacts) map[string]any {
	now := time.Now().UTC().Format(time.RFC3339)
	condition := func(kind, status, reason, message string) map[string]string {
		return map[string]string{"type": kind, "status": status, "reason": reason, "message": message,
			"lastHeartbeatTime": now, "lastTransitionTime": now}
	}
	addresses := []map[string]string{}
	for _, address := range node.addresses {
		addresses = append(addresses, map[string]string{"type": "InternalIP", "address": address})
	}
	for _, address := range node.external {
		addresses = append(addresses, map[string]string{"type": "ExternalIP", "address": address})
	}
	addresses = append(addresses, map[string]string{"type": "Hostname", "address": node.name})
	size := machineSize(node.maxPods)
	return map[string]any{
		"addresses": addresses, "capacity": size, "allocatable": size, "nodeInfo": nodeInfo(),
		"daemonEndpoints": map[string]any{"kubeletEndpoint": map[string]int{"Port": kubeletPort}},
		"conditions": []any{
			condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
			condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
			condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
			condition("Ready", "True", "KubeletReady", "kubelet is posting ready status (stand-in)"),
		},
	}
}

// machineSize is capacity in Kubernetes' units. In a container these are the host's figures.
func machineSize(maxPods int) map[string]string {
	size := map[string]string{"cpu": fmt.Sprint(runtime.NumCPU()), "pods": strconv.Itoa(maxPods)}
	for _, line := range strings.Split(readText("/proc/meminfo"), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" {
			size["memory"] = fields[1] + "Ki"
		}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dataDir, &disk); err == nil {
		size["ephemeral-storage"] = fmt.Sprintf("%dKi", disk.Blocks*uint64(disk.Bsize)/1024)
	}
	return size
}

func nodeInfo() map[string]string {
	machineID := readText("/etc/machine-id")
	return map[string]string{
		"architecture": runtime.GOARCH, "operatingSystem": "linux",
		"kernelVersion": readText("/proc/sys/kernel/osrelease"), "bootID": readText("/proc/sys/kernel/random/boot_id"),
		"machineID": machineID, "systemUUID": machineID, "osImage": osName(),
		"kubeletVersion": version, "kubeProxyVersion": version,
		// The GPU operator picks its runtime by this text's scheme.
		"containerRuntimeVersion": "containerd://2.2.2-k3s1",
	}
}

func osName() string {
	for _, line := range strings.Split(readText("/etc/os-release"), "\n") {
		if name, found := strings.CutPrefix(line, "PRETTY_NAME="); found {
			return strings.Trim(name, `"`)
		}
	}
	return "Linux"
}

// readText is a small file's trimmed content, "" where it cannot be read.
func readText(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}
