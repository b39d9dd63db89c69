package main

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	tlsDir  = serverDir + "/tls"
	credDir = serverDir + "/cred"
	// The front listens on 6443 for everyone; kube-apiserver stands behind it.
	frontPort    = "6443"
	apiServerURL = "https://127.0.0.1:6444"
	kineSocket   = serverDir + "/kine.sock"
)

// pki is what the server signs and identifies itself with.
type pki struct {
	serverCA, clientCA, frontCA *authority
}

// runServer is `k3s server`: certificates, tokens, front, control plane, and
// then the same node part that an agent runs, joined to this server.
func runServer(ctx context.Context, cfg *config, notify *notifier) error {
	logInfo("Starting k3s %s (stand-in)", version)
	node, err := describeNode(cfg, cfg.str("server"))
	if err != nil {
		return err
	}
	if err := errors.Join(makeFolders(), dropRemoved()); err != nil {
		return err
	}
	if cfg.boolean("cluster-reset") {
		return resetCluster(ctx, cfg, node)
	}
	etcd, err := usesEtcd(cfg)
	if err != nil {
		return err
	}
	var from *server
	if etcd && cfg.str("server") != "" && !exists(etcdDir+"/member") {
		if from, err = joinCluster(ctx, cfg); err != nil {
			return err
		}
	}
	keys, err := ensurePKI(cfg, node)
	if err != nil {
		return err
	}
	shared, err := ensureSecrets(ctx, cfg, keys.serverCA.pem)
	if err != nil {
		return err
	}
	admin, err := newKubeAPI(apiServerURL, keys.serverCA.pem, tlsDir+"/client-admin")
	if err != nil {
		return err
	}
	store := &datastore{from: from}
	if etcd {
		if store.member, err = newEtcdMember(node); err != nil {
			return err
		}
		store.member.mark(node)
	}
	join := &joinServer{keys: keys, secrets: shared, api: admin, member: store.member, critical: criticalValues(cfg),
		network: clusterNetwork{Version: version, ClusterCIDR: clusterCIDR(cfg), ClusterDomain: clusterDomain(cfg)}}
	front, err := startFront(keys, join)
	if err != nil {
		return err
	}
	defer front.Close()

	programs := newChildren(ctx)
	defer programs.stop()
	if err := startControlPlane(ctx, cfg, keys, node, admin, store, programs); err != nil {
		return err
	}
	if err := publish(ctx, cfg, keys, admin); err != nil {
		return err
	}
	join.ready.Store(true)
	logInfo("k3s is up and running (stand-in)")
	notify.ready()

	// With real kubelets a pod of the chart's Deployment works on the ClusterPolicy, and this one only for hooks.
	if toolExists("gpusim") {
		programs.wait.Go(func() { playOperator(programs, admin, etcd) })
	}
	go join.keepNodePasswords(programs.ctx)
	go publishEndpoints(programs.ctx, admin, node.addresses[0])
	if etcd {
		go store.member.manage(programs.ctx, admin)
		err := errors.Join(store.member.saveBootstrap(ctx, shared.server), scheduleSnapshots(programs.ctx, cfg))
		if err != nil {
			return err
		}
	}
	if !cfg.boolean("disable-agent") {
		if err := prepareNode(cfg); err != nil {
			return err
		}
		node.labels["node-role.kubernetes.io/control-plane"] = "true"
		own := token{user: "node", secret: shared.agent}.format(keys.serverCA.pem)
		server := joinTarget{url: "https://127.0.0.1:" + frontPort, token: own}
		if _, err := startNode(ctx, cfg, server, server.url, node, admin, programs); err != nil {
			return err
		}
	}
	err = untilEnd(ctx, programs)
	if etcd {
		err = store.member.explain(ctx, err)
	}
	return err
}

// untilEnd waits for the stop signal or for an essential child's end.
func untilEnd(ctx context.Context, programs *children) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-programs.failed:
		return err
	}
}

// makeFolders lays out k3s's folders with k3s's modes.
func makeFolders() error {
	for path, mode := range map[string]fs.FileMode{
		filepath.Dir(configFile): 0o755, filepath.Dir(nodePassword): 0o755, dataDir: 0o755,
		serverDir: 0o700, serverDir + "/db": 0o700, tlsDir: 0o700, credDir: 0o700, agentDir: 0o700,
	} {
		if err := os.MkdirAll(path, mode); err != nil {
			return err
		}
	}
	return nil
}

// ensurePKI makes or loads the three authorities and all certificates of a server.
func ensurePKI(cfg *config, node *nodeFacts) (*pki, error) {
	keys := &pki{}
	for _, each := range []struct {
		into **authority
		file string
	}{{&keys.serverCA, "server-ca"}, {&keys.clientCA, "client-ca"}, {&keys.frontCA, "request-header-ca"}} {
		ca, err := ensureCA(filepath.Join(tlsDir, each.file), "k3s-"+each.file)
		if err != nil {
			return nil, err
		}
		*each.into = ca
	}
	serving := leaf{name: "k3s", hosts: servingNames(cfg, node)}
	return keys, errors.Join(
		keys.serverCA.ensure(tlsDir+"/serving-kube-apiserver", serving),
		keys.frontCA.ensure(tlsDir+"/client-auth-proxy", leaf{name: "system:auth-proxy", client: true}),
		keys.clientCA.ensure(tlsDir+"/client-admin", leaf{name: "system:admin", groups: []string{"system:masters"}, client: true}),
		keys.clientCA.ensure(tlsDir+"/client-controller", leaf{name: "system:kube-controller-manager", client: true}),
		keys.clientCA.ensure(tlsDir+"/client-kube-apiserver", leaf{name: "system:apiserver", groups: []string{"system:masters"}, client: true}),
		keys.clientCA.ensure(tlsDir+"/client-scheduler", leaf{name: "system:kube-scheduler", client: true}),
		ensureServiceKey(keys),
	)
}

// ensureServiceKey makes the key that signs service account tokens. It is a pair like
// the others, of which only the key is used.
func ensureServiceKey(keys *pki) error {
	if _, err := os.Stat(tlsDir + "/service.key"); err == nil {
		return nil
	}
	_, keyPEM, err := keys.serverCA.issue(leaf{name: "service-account"})
	if err != nil {
		return err
	}
	return writeFile(tlsDir+"/service.key", keyPEM, 0o600)
}

// servingNames are the names and addresses under which the API may be called.
func servingNames(cfg *config, node *nodeFacts) []string {
	hostname, _ := os.Hostname()
	domain := clusterDomain(cfg)
	names := []string{"localhost", "127.0.0.1", "::1", hostname, node.name, "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc." + domain, firstServiceIP(serviceCIDR(cfg))}
	names = append(names, node.addresses...)
	return append(names, splitCommas(cfg.list("tls-san"))...)
}

func clusterDomain(cfg *config) string { return firstOf(cfg.str("cluster-domain"), "cluster.local") }
func serviceCIDR(cfg *config) string   { return firstOf(cfg.str("service-cidr"), "10.43.0.0/16") }
func clusterCIDR(cfg *config) string   { return firstOf(cfg.str("cluster-cidr"), "10.42.0.0/16") }

// firstServiceIP is the address that the service "kubernetes" gets: the network's first.
func firstServiceIP(cidr string) string {
	ip, _, err := net.ParseCIDR(cidr)
	if err != nil {
		return "" // kube-apiserver will say what is wrong with it
	}
	first := slices.Clone(ip)
	first[len(first)-1]++
	return first.String()
}

// splitCommas: k3s takes "a,b" for a list of two.
func splitCommas(values []string) []string { return strings.Split(strings.Join(values, ","), ",") }

// startControlPlane starts database and API server, waits until the API is ready, then
// starts what needs it. It waits as long as it takes, as k3s does, and says what for.
func startControlPlane(ctx context.Context, cfg *config, keys *pki, node *nodeFacts, admin *kubeAPI, store *datastore, programs *children) error {
	names := []string{store.program(), "kube-apiserver", "kube-scheduler", "kube-controller-manager"}
	if !kubeletIsReal() {
		names = append(names, "kwok")
	}
	for _, name := range names {
		if !toolExists(name) {
			return fmt.Errorf("stand-in: %s/%s is missing; the machine must bind-mount the rehearsal's tools there", toolDir, name)
		}
	}
	for name, pair := range map[string]string{"admin": "client-admin", "controller": "client-controller", "scheduler": "client-scheduler"} {
		if err := writeKubeconfig(credDir+"/"+name+".kubeconfig", apiServerURL, keys.serverCA.pem, tlsDir+"/"+pair, 0o600); err != nil {
			return err
		}
	}
	apiArgs, err := apiServerArgs(cfg, node)
	if err != nil {
		return err
	}
	if err := store.start(ctx, cfg, programs); err != nil {
		return err
	}
	programs.essential("kube-apiserver", append(store.apiServerArgs(), apiArgs...)...)
	if err := awaitAPI(ctx, admin, programs); err != nil {
		return err
	}
	// With sqlite there is no second server to agree with.
	election := fmt.Sprintf("--leader-elect=%t", store.member != nil)
	programs.essential("kube-scheduler", append([]string{
		"--kubeconfig=" + credDir + "/scheduler.kubeconfig", election, "--bind-address=127.0.0.1",
	}, asFlags(cfg.list("kube-scheduler-arg"))...)...)
	programs.essential("kube-controller-manager", append([]string{
		"--kubeconfig=" + credDir + "/controller.kubeconfig", election, "--bind-address=127.0.0.1",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + tlsDir + "/service.key", "--root-ca-file=" + tlsDir + "/server-ca.crt",
		"--allocate-node-cidrs=true", "--cluster-cidr=" + clusterCIDR(cfg), "--service-cluster-ip-range=" + serviceCIDR(cfg),
	}, asFlags(cfg.list("kube-controller-manager-arg"))...)...)
	return nil
}

// apiServerArgs are kube-apiserver's flags. The front is trusted to name the user of a
// request (request headers), everything else is kube-apiserver's own business.
func apiServerArgs(cfg *config, node *nodeFacts) ([]string, error) {
	issuer := "https://kubernetes.default.svc." + clusterDomain(cfg)
	args := []string{
		"--bind-address=127.0.0.1", "--secure-port=6444", "--advertise-address=" + node.addresses[0],
		// The port that reconcilers publish would be 6444; publishEndpoints publishes the front's.
		"--endpoint-reconciler-type=none",
		// k3s's server reaches kubelets through a tunnel that agents open; here it calls them.
		"--kubelet-preferred-address-types=InternalIP", "--kubelet-certificate-authority=" + tlsDir + "/server-ca.crt",
		"--kubelet-client-certificate=" + tlsDir + "/client-kube-apiserver.crt", "--kubelet-client-key=" + tlsDir + "/client-kube-apiserver.key",
		"--tls-cert-file=" + tlsDir + "/serving-kube-apiserver.crt", "--tls-private-key-file=" + tlsDir + "/serving-kube-apiserver.key",
		"--client-ca-file=" + tlsDir + "/client-ca.crt",
		"--requestheader-client-ca-file=" + tlsDir + "/request-header-ca.crt", "--requestheader-allowed-names=system:auth-proxy",
		"--requestheader-username-headers=" + userHeader, "--requestheader-group-headers=" + groupHeader,
		"--requestheader-extra-headers-prefix=" + extraHeaders,
		"--proxy-client-cert-file=" + tlsDir + "/client-auth-proxy.crt", "--proxy-client-key-file=" + tlsDir + "/client-auth-proxy.key",
		"--service-account-issuer=" + issuer, "--api-audiences=" + issuer + ",k3s",
		"--service-account-key-file=" + tlsDir + "/service.key", "--service-account-signing-key-file=" + tlsDir + "/service.key",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--anonymous-auth=false",
		"--allow-privileged=true", "--profiling=false",
		"--service-cluster-ip-range=" + serviceCIDR(cfg),
		"--service-node-port-range=" + firstOf(cfg.str("service-node-port-range"), "30000-32767"),
	}
	if cfg.boolean("secrets-encryption") {
		file := credDir + "/encryption-config.json"
		if err := ensureEncryptionConfig(file); err != nil {
			return nil, err
		}
		args = append(args, "--encryption-provider-config="+file)
	}
	return append(args, asFlags(cfg.list("kube-apiserver-arg"))...), nil
}

// ensureEncryptionConfig writes the key with which Secrets are stored, once.
func ensureEncryptionConfig(file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	key := map[string]string{"name": "aescbckey", "secret": base64.StdEncoding.EncodeToString([]byte(randomHex(16)))}
	content, err := json.Marshal(map[string]any{
		"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1",
		"resources": []any{map[string]any{
			"resources": []string{"secrets"},
			"providers": []any{map[string]any{"aescbc": map[string]any{"keys": []any{key}}}, map[string]any{"identity": map[string]any{}}},
		}},
	})
	if err != nil {
		return err
	}
	return writeFile(file, content, 0o600)
}

func asFlags(extra []string) []string {
	flags := make([]string, len(extra))
	for i, arg := range extra {
		flags[i] = "--" + strings.TrimLeft(arg, "-")
	}
	return flags
}

// awaitAPI waits until /readyz answers ok.
func awaitAPI(ctx context.Context, admin *kubeAPI, programs *children) error {
	return programs.await(ctx, "API server", 100*time.Millisecond, func() error {
		// /readyz answers text, which is no JSON: only the status matters.
		return admin.do(ctx, http.MethodGet, "/readyz", asJSON, nil, nil)
	})
}

//go:embed objects.yaml
var objectsYAML string

// publish puts what every k3s cluster has into the API and writes the kubeconfig.
func publish(ctx context.Context, cfg *config, keys *pki, admin *kubeAPI) error {
	skipRuntimes := slices.Contains(splitCommas(cfg.list("disable")), "runtimes")
	for _, document := range strings.Split(objectsYAML, "\n---\n") {
		// Each document's first line is a comment: its path in the API.
		path, object, _ := strings.Cut(document, "\n")
		path = strings.TrimPrefix(path, "# ")
		if skipRuntimes && strings.Contains(path, "/runtimeclasses/") || kubeletIsReal() && strings.Contains(path, "standin:node") {
			continue
		}
		if err := admin.apply(ctx, path, []byte(object)); err != nil {
			return err
		}
	}
	return writeAdminKubeconfig(cfg, keys)
}

func writeAdminKubeconfig(cfg *config, keys *pki) error {
	file := firstOf(cfg.str("write-kubeconfig"), adminKubeconfig)
	mode, err := strconv.ParseUint(firstOf(cfg.str("write-kubeconfig-mode"), "0600"), 8, 32)
	if err != nil {
		return fmt.Errorf("write-kubeconfig-mode: found %q, expected an octal mode such as 0600", cfg.str("write-kubeconfig-mode"))
	}
	if err := writeKubeconfig(file, "https://127.0.0.1:"+frontPort, keys.serverCA.pem, tlsDir+"/client-admin", fs.FileMode(mode)); err != nil {
		return err
	}
	name := cfg.str("write-kubeconfig-group")
	if name == "" {
		return nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return fmt.Errorf("write-kubeconfig-group: %w", err)
	}
	id, err := strconv.Atoi(group.Gid)
	if err != nil {
		return err
	}
	return os.Chown(file, -1, id)
}
