package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	dbDir      = serverDir + "/db"
	etcdDir    = dbDir + "/etcd"
	etcdTLS    = tlsDir + "/etcd"
	sqliteFile = dbDir + "/state.db"
	localEtcd  = "https://127.0.0.1:2379"
	// tombstone marks the data of a member that the others have removed: the next start drops it.
	tombstone = etcdDir + "/tombstone"
	// resetFlag tells that the membership was reset, until k3s has run normally since.
	resetFlag = dbDir + "/reset-flag"
)

// etcdMember is this server as a member of the cluster's datastore.
type etcdMember struct {
	name, address string
	client        *etcdClient
	peers         atomic.Pointer[[]string] // where the other members were last seen
}

// member is one of etcd's members, as etcd tells it.
type member struct {
	ID         string
	Name       string
	PeerURLs   []string
	ClientURLs []string
	IsLearner  bool
}

// usesEtcd tells whether this server's datastore is etcd: because its data say so, or else because
// the configuration does. Data on disk always win over the configuration.
func usesEtcd(cfg *config) (bool, error) {
	if exists(etcdDir + "/member") {
		return true, nil
	}
	wanted := cfg.boolean("cluster-init") || cfg.str("server") != ""
	if exists(sqliteFile) && cfg.str("server") != "" {
		return false, fmt.Errorf("k3s stand-in: a server with data that joins another is not played: found %s and server set, "+
			"expected a machine without data, or cluster-init; rehearse this on a real k3s", sqliteFile)
	}
	return wanted, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// newEtcdMember names the member, once, and gives it certificates.
func newEtcdMember(node *nodeFacts) (*etcdMember, error) {
	name := readText(etcdDir + "/name")
	if name == "" {
		name = node.name + "-" + randomHex(4)
		if err := writeFile(etcdDir+"/name", []byte(name), 0o600); err != nil {
			return nil, err
		}
	}
	server, err := ensureCA(etcdTLS+"/server-ca", "etcd-server")
	if err != nil {
		return nil, err
	}
	peer, err := ensureCA(etcdTLS+"/peer-ca", "etcd-peer")
	if err != nil {
		return nil, err
	}
	hosts := []string{"localhost", "127.0.0.1", node.addresses[0], node.name}
	// etcd's gateway calls etcd with the serving certificate: it has to do for both sides.
	err = errors.Join(
		server.ensure(etcdTLS+"/server-client", leaf{name: "etcd-server", hosts: hosts, both: true}),
		peer.ensure(etcdTLS+"/peer-server-client", leaf{name: "etcd-peer", hosts: hosts, both: true}),
		server.ensure(etcdTLS+"/client", leaf{name: "etcd-client", client: true}),
	)
	if err != nil {
		return nil, err
	}
	client, err := newEtcdClient(localEtcd)
	return &etcdMember{name: name, address: node.addresses[0], client: client}, err
}

func (e *etcdMember) peerURL() string { return "https://" + e.address + ":2380" }

// args are etcd's flags; more of them say how a member without data begins.
func (e *etcdMember) args(cfg *config, more ...string) []string {
	clients := "https://" + e.address + ":2379"
	args := []string{
		"--name=" + e.name, "--data-dir=" + etcdDir, "--log-level=warn",
		"--listen-client-urls=" + localEtcd + "," + clients, "--advertise-client-urls=" + clients,
		"--listen-peer-urls=https://127.0.0.1:2380," + e.peerURL(), "--initial-advertise-peer-urls=" + e.peerURL(),
		"--listen-metrics-urls=http://127.0.0.1:2381", "--heartbeat-interval=500", "--election-timeout=5000",
		"--client-cert-auth", "--trusted-ca-file=" + etcdTLS + "/server-ca.crt",
		"--cert-file=" + etcdTLS + "/server-client.crt", "--key-file=" + etcdTLS + "/server-client.key",
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + etcdTLS + "/peer-ca.crt",
		"--peer-cert-file=" + etcdTLS + "/peer-server-client.crt", "--peer-key-file=" + etcdTLS + "/peer-server-client.key",
	}
	return append(append(args, more...), asFlags(cfg.list("etcd-arg"))...)
}

// begin says how etcd starts: with its data, as a new cluster, or as a learner of the cluster that from is
// a server of. Like k3s, it asks every second while etcd takes nobody just now.
func (e *etcdMember) begin(ctx context.Context, from *server) ([]string, error) {
	if exists(etcdDir + "/member") {
		return nil, nil
	}
	if from == nil {
		return []string{"--initial-cluster=" + e.name + "=" + e.peerURL(), "--initial-cluster-state=new"}, nil
	}
	cluster, err := e.join(ctx, from)
	for takesNobodyNow(err) {
		logInfo("Waiting for other members to finish joining etcd cluster: %v", err)
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
		cluster, err = e.join(ctx, from)
	}
	if err != nil {
		return nil, fmt.Errorf("starting kubernetes: preparing server: start managed database: joining etcd cluster: %w", err)
	}
	return []string{"--initial-cluster=" + cluster, "--initial-cluster-state=existing"}, nil
}

// takesNobodyNow tells etcd's refusals that pass by themselves: one learner is there until it is promoted, and
// for five seconds afterwards not all members have been connected for long enough.
func takesNobodyNow(refusal error) bool {
	return refusal != nil && slices.Contains([]string{
		"etcdserver: too many learner members in cluster", "etcdserver: unhealthy cluster",
	}, refusal.Error())
}

// join adds this server as a learner and tells all members as etcd wants to hear it.
func (e *etcdMember) join(ctx context.Context, from *server) (string, error) {
	content, err := from.getAs(ctx, "server", "/db/info", nil)
	if err != nil {
		return "", err
	}
	var known []member
	if err := json.Unmarshal(content, &known); err != nil {
		return "", err
	}
	cluster, isMember, err := e.initialCluster(known)
	if err != nil || isMember {
		return strings.Join(cluster, ","), err
	}
	err = errors.New("no member of it is known")
	for _, other := range known {
		var client *etcdClient
		for _, address := range other.ClientURLs {
			if client, err = newEtcdClient(address); err != nil {
				return "", err
			}
			if err = client.add(ctx, e.peerURL()); err == nil {
				logInfo("Adding member %s=%s to etcd cluster %v", e.name, e.peerURL(), cluster)
				return strings.Join(append(cluster, e.name+"="+e.peerURL()), ","), nil
			}
			if answer := new(apiError); errors.As(err, &answer) {
				return "", errors.New(answer.message)
			}
		}
	}
	return "", err
}

// initialCluster lists the members, and tells whether this server is one of them already.
func (e *etcdMember) initialCluster(known []member) (cluster []string, isMember bool, err error) {
	for _, other := range known {
		if len(other.PeerURLs) == 0 {
			continue
		}
		mine := slices.Contains(other.PeerURLs, e.peerURL())
		if other.Name == "" && mine {
			other.Name = e.name // a member that was added and has not started yet
		}
		if !mine && nodeOfMember(other.Name) == nodeOfMember(e.name) || mine && other.Name != e.name {
			return nil, false, errors.New("duplicate node name found, please use a unique name for this node")
		}
		isMember = isMember || mine
		cluster = append(cluster, other.Name+"="+other.PeerURLs[0])
	}
	return cluster, isMember, nil
}

// nodeOfMember is a member's node: the name without its random end.
func nodeOfMember(name string) string {
	if cut := strings.LastIndex(name, "-"); cut > 0 {
		return name[:cut]
	}
	return name
}

// await waits until etcd has a leader and this member votes.
func (e *etcdMember) await(ctx context.Context, programs *children) error {
	return programs.await(ctx, "etcd server", 200*time.Millisecond, func() error {
		status, err := e.client.status(ctx)
		switch {
		case err == nil && status.IsLearner:
			return errors.New("this member is a learner and waits for its promotion")
		case err == nil && (status.Leader == "" || status.Leader == "0"):
			return errors.New("etcdserver: no leader")
		}
		return err
	})
}

// manage promotes learners and takes out members whose Node is being deleted, while this server
// runs. k3s does both on one server; here every server tries, and etcd takes the first.
func (e *etcdMember) manage(ctx context.Context, api *kubeAPI) {
	for pause(ctx, time.Second) == nil {
		members, err := e.client.members(ctx)
		if err != nil {
			continue // no quorum just now: the next round looks again
		}
		var peers []string
		for _, other := range members {
			if other.Name != e.name {
				peers = append(peers, other.ClientURLs...)
			}
			if other.IsLearner && e.client.promote(ctx, other.ID) == nil {
				logInfo("Promoted etcd learner %s", other.Name)
			}
		}
		e.peers.Store(&peers)
		if err := removeDeletedMembers(ctx, api, e.client, members); err != nil && ctx.Err() == nil {
			logError("Unable to remove member from etcd cluster: %v", err)
		}
	}
}

// wasRemoved asks the other members whether this one is none of them any more.
func (e *etcdMember) wasRemoved(ctx context.Context) bool {
	peers := e.peers.Load()
	if peers == nil {
		return false
	}
	for _, address := range *peers {
		client, err := newEtcdClient(address)
		if err != nil {
			continue
		}
		members, err := client.members(ctx)
		if err != nil {
			continue
		}
		return !slices.ContainsFunc(members, func(other member) bool { return other.Name == e.name })
	}
	return false
}

// explain turns the end of etcd into k3s's words where the others have removed this member, and
// leaves the mark that makes the next start join anew.
func (e *etcdMember) explain(ctx context.Context, end error) error {
	if end == nil || !e.wasRemoved(ctx) {
		return end
	}
	if err := writeFile(tombstone, nil, 0o600); err != nil {
		return err
	}
	return errors.New("this node has been removed from the cluster please restart k3s to rejoin the cluster")
}

// dropRemoved deletes the data of a member that was removed.
func dropRemoved() error {
	if !exists(tombstone) {
		return nil
	}
	logWarn("Managed etcd tombstone found: removing %s", etcdDir)
	return os.RemoveAll(etcdDir)
}

// etcdFinalizer keeps a server's Node until its member is gone.
const etcdFinalizer = "wrangler.cattle.io/managed-etcd-controller"

// etcdNode is the part of a server's Node that matters here.
type etcdNode struct {
	Metadata struct {
		Name              string
		DeletionTimestamp *time.Time
		Finalizers        []string
		Annotations       map[string]string
	}
}

const (
	etcdNodeName    = "etcd.k3s.cattle.io/node-name"
	etcdNodeAddress = "etcd.k3s.cattle.io/node-address"
	etcdRemove      = "etcd.k3s.cattle.io/remove"
)

// removeDeletedMembers removes the members of Nodes that are being deleted, then lets the Nodes go; and
// the members of those that were marked for it.
func removeDeletedMembers(ctx context.Context, api *kubeAPI, client *etcdClient, members []member) error {
	var nodes struct{ Items []etcdNode }
	if err := api.get(ctx, "/api/v1/nodes?labelSelector=node-role.kubernetes.io%2Fetcd%3Dtrue", &nodes); err != nil {
		return err
	}
	for _, node := range nodes.Items {
		about := node.Metadata
		deleted := about.DeletionTimestamp != nil && slices.Contains(about.Finalizers, etcdFinalizer)
		if !deleted && about.Annotations[etcdRemove] != "true" {
			continue
		}
		for _, other := range members {
			if other.Name != about.Annotations[etcdNodeName] {
				continue
			}
			logInfo("Removing name=%s id=%s address=%s from etcd", other.Name, other.ID, about.Annotations[etcdNodeAddress])
			if err := client.remove(ctx, other.ID); err != nil {
				return err
			}
		}
		if !deleted {
			continue
		}
		rest := slices.DeleteFunc(about.Finalizers, func(name string) bool { return name == etcdFinalizer })
		err := api.do(ctx, http.MethodPatch, "/api/v1/nodes/"+about.Name, asMerge,
			map[string]any{"metadata": map[string]any{"finalizers": rest}}, nil)
		if err != nil && !hasStatus(err, http.StatusNotFound) {
			return err
		}
	}
	return nil
}

// mark gives the server's Node what tells its member.
func (e *etcdMember) mark(node *nodeFacts) {
	node.labels["node-role.kubernetes.io/etcd"] = "true"
	node.annotations[etcdNodeName] = e.name
	node.annotations[etcdNodeAddress] = e.address
	node.finalizers = []string{etcdFinalizer}
}

// etcdClient speaks to one member through etcd's own JSON gateway.
type etcdClient struct{ api *kubeAPI }

func newEtcdClient(address string) (*etcdClient, error) {
	caPEM, err := os.ReadFile(etcdTLS + "/server-ca.crt")
	if err != nil {
		return nil, err
	}
	api, err := newKubeAPI(address, caPEM, etcdTLS+"/client")
	return &etcdClient{api}, err
}

func (c *etcdClient) call(ctx context.Context, path string, in, out any) error {
	return c.api.do(ctx, http.MethodPost, "/v3/"+path, asJSON, in, out)
}

func (c *etcdClient) members(ctx context.Context) ([]member, error) {
	var answer struct{ Members []member }
	err := c.call(ctx, "cluster/member/list", map[string]bool{"linearizable": true}, &answer)
	return answer.Members, err
}

func (c *etcdClient) add(ctx context.Context, peerURL string) error {
	return c.call(ctx, "cluster/member/add", map[string]any{"peerURLs": []string{peerURL}, "isLearner": true}, nil)
}

func (c *etcdClient) promote(ctx context.Context, id string) error {
	return c.call(ctx, "cluster/member/promote", map[string]string{"ID": id}, nil)
}

func (c *etcdClient) remove(ctx context.Context, id string) error {
	return c.call(ctx, "cluster/member/remove", map[string]string{"ID": id}, nil)
}

// etcdStatus is what a member says of itself.
type etcdStatus struct {
	Leader    string
	IsLearner bool
}

func (c *etcdClient) status(ctx context.Context) (found etcdStatus, err error) {
	err = c.call(ctx, "maintenance/status", map[string]string{}, &found)
	return found, err
}
