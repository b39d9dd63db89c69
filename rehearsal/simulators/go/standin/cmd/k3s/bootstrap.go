package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bootstrapFiles are what all servers of a cluster have in common: its authorities and keys.
var bootstrapFiles = []string{
	"tls/server-ca.crt", "tls/server-ca.key", "tls/client-ca.crt", "tls/client-ca.key",
	"tls/request-header-ca.crt", "tls/request-header-ca.key", "tls/service.key",
	"tls/etcd/server-ca.crt", "tls/etcd/server-ca.key", "tls/etcd/peer-ca.crt", "tls/etcd/peer-ca.key",
	"cred/encryption-config.json",
}

// readBootstrap is their content, of those that there are.
func readBootstrap() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range bootstrapFiles {
		path := filepath.Join(serverDir, name)
		if !exists(path) {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, nil
}

// writeBootstrap lays down what another server sent, and only what belongs here.
func writeBootstrap(files map[string][]byte) error {
	for _, name := range bootstrapFiles {
		content, sent := files[name]
		if !sent {
			continue
		}
		mode := os.FileMode(0o600)
		if strings.HasSuffix(name, ".crt") {
			mode = 0o644
		}
		if err := writeFile(filepath.Join(serverDir, name), content, mode); err != nil {
			return err
		}
	}
	return nil
}

// joinCluster makes this server's authorities those of the cluster it joins. Unlike an agent's, a
// server's failure ends the program, and systemd tries again.
func joinCluster(ctx context.Context, cfg *config) (*server, error) {
	from, err := tryJoinCluster(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("starting kubernetes: preparing server: %w", err)
	}
	return from, nil
}

func tryJoinCluster(ctx context.Context, cfg *config) (*server, error) {
	text, err := configuredToken(ctx, cfg, "token")
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errors.New("token is required to join a cluster")
	}
	address := strings.TrimRight(cfg.str("server"), "/")
	if !strings.HasPrefix(address, "https://") {
		return nil, fmt.Errorf("only https:// URLs are supported, invalid scheme: %s", address)
	}
	from, err := checkServer(ctx, text, address)
	if err != nil {
		return nil, fmt.Errorf("failed to validate connection to cluster at %s: %w", address, err)
	}
	content, err := from.getAs(ctx, "server", joinPrefix+"server-bootstrap", nil)
	if err != nil {
		return nil, err
	}
	var answer bootstrap
	if err := json.Unmarshal(content, &answer); err != nil {
		return nil, err
	}
	if err := compareCritical(criticalValues(cfg), answer.Critical); err != nil {
		return nil, fmt.Errorf("failed to validate server configuration: %w", err)
	}
	return from, writeBootstrap(answer.Files)
}

// bootstrap is what a server tells one that joins.
type bootstrap struct {
	Files    map[string][]byte
	Critical map[string]string
}

// criticalDefaults are the values that all servers must agree on, by flag.
var criticalDefaults = map[string]string{
	"cluster-cidr": "10.42.0.0/16", "service-cidr": "10.43.0.0/16", "cluster-dns": "", "cluster-domain": "cluster.local",
	"disable-cloud-controller": "false", "disable-helm-controller": "false", "disable-network-policy": "false",
	"egress-selector-mode": "agent", "embedded-registry": "false", "flannel-backend": "vxlan", "flannel-external-ip": "false",
	"flannel-ipv6-masq": "false", "secrets-encryption": "false", "secrets-encryption-provider": "aescbc",
	"supervisor-metrics": "false",
}

// criticalValues are this server's.
func criticalValues(cfg *config) map[string]string {
	values := maps.Clone(criticalDefaults)
	for name := range values {
		if text := strings.Join(cfg.list(name), ","); text != "" {
			values[name] = text
		}
	}
	values["disable=servicelb"] = fmt.Sprint(slices.Contains(splitCommas(cfg.list("disable")), "servicelb"))
	return values
}

// compareCritical names every difference in the log and then refuses, as k3s does.
func compareCritical(mine, theirs map[string]string) error {
	var err error
	for _, name := range slices.Sorted(maps.Keys(mine)) {
		if mine[name] != theirs[name] {
			logWarn("critical configuration mismatched: %s: %s != %s", name, mine[name], theirs[name])
			err = errors.New("critical configuration value mismatch between servers")
		}
	}
	return err
}

// serverAddresses are the API's addresses: those of all nodes that are servers.
func serverAddresses(ctx context.Context, api *kubeAPI) ([]string, error) {
	var nodes struct {
		Items []struct {
			Status struct {
				Addresses []struct{ Type, Address string }
			}
		}
	}
	err := api.get(ctx, "/api/v1/nodes?labelSelector=node-role.kubernetes.io%2Fcontrol-plane%3Dtrue", &nodes)
	servers := []string{}
	for _, node := range nodes.Items {
		for _, address := range node.Status.Addresses {
			if address.Type == "InternalIP" {
				servers = append(servers, address.Address+":"+frontPort)
				break
			}
		}
	}
	return servers, err
}

// publishEndpoints keeps the addresses behind the Service "kubernetes", which pods call the API by: those of all
// servers, and of this one before its Node is there.
func publishEndpoints(ctx context.Context, api *kubeAPI, own string) {
	var published []string
	for {
		servers, err := serverAddresses(ctx, api)
		addresses := []string{own}
		for _, server := range servers {
			host, _, _ := net.SplitHostPort(server)
			addresses = append(addresses, host)
		}
		addresses = uniqueSorted(addresses)
		if err == nil && !slices.Equal(addresses, published) {
			err = api.apply(ctx, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes", endpointSlice(addresses))
			if err == nil {
				published = addresses
			}
		}
		if err != nil && ctx.Err() == nil {
			logWarn("endpoints of the Service kubernetes: %v", err)
		}
		if pause(ctx, 5*time.Second) != nil {
			return
		}
	}
}

func endpointSlice(addresses []string) map[string]any {
	port, _ := strconv.Atoi(frontPort)
	var endpoints []any
	for _, address := range addresses {
		endpoints = append(endpoints, map[string]any{"addresses": []string{address}, "conditions": map[string]bool{"ready": true}})
	}
	return map[string]any{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": endpoints,
		"metadata": map[string]any{"name": "kubernetes", "labels": map[string]string{"kubernetes.io/service-name": "kubernetes"}},
		"ports":    []any{map[string]any{"name": "https", "port": port, "protocol": "TCP"}},
	}
}

// serveServer answers what only servers may ask, with the server's token.
func (j *joinServer) serveServer(writer http.ResponseWriter, request *http.Request) {
	switch request.URL.Path {
	case joinPrefix + "server-bootstrap":
		files, err := readBootstrap()
		answerJSON(writer, bootstrap{files, j.critical}, err)
	case "/db/info":
		if j.member == nil {
			refuse(writer, http.StatusNotFound, "etcd datastore disabled")
			return
		}
		members, err := j.member.client.members(request.Context())
		answerJSON(writer, members, err)
	default:
		http.NotFound(writer, request)
	}
}

func answerJSON(writer http.ResponseWriter, answer any, err error) {
	if err != nil {
		refuse(writer, http.StatusServiceUnavailable, err.Error())
		return
	}
	writer.Header().Set("Content-Type", asJSON)
	_ = json.NewEncoder(writer).Encode(answer) // the caller may have gone
}
