package main

import "strings"

// kind is how a flag takes its value.
type kind int

const (
	text    kind = iota // one value
	list                // may be repeated; a list in the configuration file
	boolean             // present, or true/false
)

// flag is one of k3s's options.
type flag struct {
	kind   kind
	played bool // has the effect it has in k3s; else accepted with a note in the log
}

// The names are those of k3s v1.36 (docs.k3s.io/cli/server and /cli/agent), by
// whether the stand-in gives them their effect.
const (
	nodeTexts    = "node-name token token-file server private-registry default-runtime"
	nodeLists    = "node-ip node-external-ip node-label node-taint kubelet-arg"
	nodeTextsOff = `resolv-conf flannel-iface flannel-conf flannel-cni-conf pause-image
		snapshotter container-runtime-endpoint image-service-endpoint vpn-auth vpn-auth-file
		image-credential-provider-bin-dir image-credential-provider-config lb-server-port v vmodule log
		nonroot-devices alsologtostderr`
	realNodeLists = "kube-proxy-arg"
	nodeListsOff  = "airgap-extra-registry node-internal-dns node-external-dns"
	nodeBoolsOff  = `debug selinux protect-kernel-defaults prefer-bundled-bin disable-default-registry-endpoint
		disable-apiserver-lb enable-pprof`

	serverTexts = `agent-token agent-token-file cluster-domain write-kubeconfig write-kubeconfig-mode
		write-kubeconfig-group service-node-port-range cluster-reset-restore-path etcd-snapshot-name
		etcd-snapshot-schedule-cron etcd-snapshot-retention etcd-snapshot-dir`
	serverLists = `tls-san cluster-cidr service-cidr disable kube-apiserver-arg kube-scheduler-arg
		kube-controller-manager-arg etcd-arg`
	serverBools    = "secrets-encryption disable-agent cluster-init cluster-reset etcd-disable-snapshots"
	serverTextsOff = `advertise-address advertise-port flannel-backend egress-selector-mode servicelb-namespace
		helm-job-image system-default-registry default-local-storage-path secrets-encryption-provider
		kine-tls supervisor-metrics etcd-s3-endpoint etcd-s3-endpoint-ca etcd-s3-access-key etcd-s3-secret-key
		etcd-s3-session-token etcd-s3-bucket etcd-s3-bucket-lookup-type etcd-s3-region etcd-s3-folder etcd-s3-proxy
		etcd-s3-config-secret etcd-s3-timeout etcd-s3-retention`
	serverListsOff = "cluster-dns kube-cloud-controller-manager-arg"
	serverBoolsOff = `tls-san-security disable-network-policy disable-cloud-controller disable-kube-proxy
		disable-helm-controller disable-scheduler flannel-ipv6-masq flannel-external-ip embedded-registry
		etcd-snapshot-compress etcd-expose-metrics etcd-s3 etcd-s3-skip-ssl-verify etcd-s3-insecure`

	// refusedTexts would make a cluster of another shape: not played, and refused.
	refusedTexts = `data-dir bind-address https-listen-port datastore-endpoint datastore-cafile datastore-certfile
		datastore-keyfile`
	refusedBools = "rootless docker with-node-id disable-apiserver disable-controller-manager disable-etcd"
)

// aliases are k3s's short forms; the longer ones belong to k3s etcd-snapshot.
var aliases = map[string]string{
	"t": "token", "s": "server", "d": "data-dir", "i": "node-ip", "o": "write-kubeconfig", "c": "config",
	"dir": "etcd-snapshot-dir", "snapshot-compress": "etcd-snapshot-compress", "snapshot-retention": "etcd-snapshot-retention",
}

// environment lists the variables k3s reads where neither flag nor file says anything.
var environment = map[string]string{
	"K3S_TOKEN": "token", "K3S_TOKEN_FILE": "token-file", "K3S_URL": "server", "K3S_NODE_NAME": "node-name",
	"K3S_AGENT_TOKEN": "agent-token", "K3S_AGENT_TOKEN_FILE": "agent-token-file",
	"K3S_KUBECONFIG_OUTPUT": "write-kubeconfig", "K3S_KUBECONFIG_MODE": "write-kubeconfig-mode",
	"K3S_KUBECONFIG_GROUP": "write-kubeconfig-group", "K3S_CLUSTER_INIT": "cluster-init", "K3S_DATA_DIR": "data-dir",
	"K3S_DATASTORE_ENDPOINT": "datastore-endpoint",
}

// flagsOf is the table of what a verb accepts.
func flagsOf(verb string) map[string]flag {
	table := map[string]flag{"config": {text, true}}
	add := func(kind kind, played bool, names string) {
		for _, name := range strings.Fields(names) {
			table[name] = flag{kind, played}
		}
	}
	add(text, true, nodeTexts)
	add(list, true, nodeLists)
	add(text, false, nodeTextsOff)
	add(list, kubeletIsReal(), realNodeLists)
	add(list, false, nodeListsOff)
	add(boolean, false, nodeBoolsOff)
	add(text, true, refusedTexts)
	add(boolean, true, refusedBools)
	if verb == "etcd-snapshot" {
		add(text, true, "name")
	}
	if verb != "agent" {
		add(text, true, serverTexts)
		add(list, true, serverLists)
		add(boolean, true, serverBools)
		add(text, false, serverTextsOff)
		add(list, false, serverListsOff)
		add(boolean, false, serverBoolsOff)
	}
	return table
}

// refusals are the keys of a shape that is not played.
func refusals() []string { return strings.Fields(refusedTexts + " " + refusedBools) }
