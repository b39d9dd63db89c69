package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// joinPrefix is where k3s's supervisor answers joining nodes.
const joinPrefix = "/v1-k3s/"

// The headers in which a joining node says who it is.
const (
	nodeNameHeader     = "K3s-Node-Name"
	nodePasswordHeader = "K3s-Node-Password"
	nodeIPHeader       = "K3s-Node-Ip"
)

// joinServer gives joining nodes their certificates.
//
// Deviation from k3s: the server makes a node's key and sends it along (k3s did so for years;
// now nodes send a signing request).
type joinServer struct {
	keys     *pki
	secrets  secrets
	api      *kubeAPI
	member   *etcdMember // nil where the datastore is not etcd
	critical map[string]string
	network  clusterNetwork
	ready    atomic.Bool
	mutex    sync.Mutex // one node password at a time: look, then create
}

func (j *joinServer) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	user, secret, _ := request.BasicAuth()
	wanted, known := map[string]string{"node": j.secrets.agent, "server": j.secrets.server}[user]
	if !known || subtle.ConstantTimeCompare([]byte(secret), []byte(wanted)) != 1 {
		refuse(writer, http.StatusUnauthorized, "Unauthorized")
		return
	}
	if !j.ready.Load() {
		refuse(writer, http.StatusServiceUnavailable, "apiserver not ready")
		return
	}
	if user == "server" {
		j.serveServer(writer, request)
		return
	}
	switch strings.TrimPrefix(request.URL.Path, joinPrefix) {
	case "config":
		answerJSON(writer, j.network, nil)
	case "apiservers":
		servers, err := serverAddresses(request.Context(), j.api)
		answerJSON(writer, servers, err)
	case "server-ca.crt":
		writer.Write(j.keys.serverCA.pem)
	case "client-ca.crt":
		writer.Write(j.keys.clientCA.pem)
	case "client-kubelet.crt":
		j.sign(writer, request, func(node string) (*authority, leaf) {
			return j.keys.clientCA, leaf{name: "system:node:" + node, groups: []string{"system:nodes"}, client: true}
		})
	case "serving-kubelet.crt":
		j.sign(writer, request, func(node string) (*authority, leaf) {
			hosts := append(strings.Split(request.Header.Get(nodeIPHeader), ","), node, "localhost", "127.0.0.1")
			return j.keys.serverCA, leaf{name: node, hosts: hosts}
		})
	case "client-kube-proxy.crt":
		j.sign(writer, request, func(string) (*authority, leaf) {
			return j.keys.clientCA, leaf{name: "system:kube-proxy", client: true}
		})
	default:
		http.NotFound(writer, request)
	}
}

// sign answers with a certificate and its key for the node that the request names,
// if the node's password is the one it came with first.
func (j *joinServer) sign(writer http.ResponseWriter, request *http.Request, choose func(node string) (*authority, leaf)) {
	node, password := request.Header.Get(nodeNameHeader), request.Header.Get(nodePasswordHeader)
	if node == "" || password == "" {
		refuse(writer, http.StatusBadRequest, "node name and password must be set")
		return
	}
	matches, err := j.checkNodePassword(request.Context(), node, password)
	if err != nil {
		logError("unable to verify password for node %s: %v", node, err)
		refuse(writer, http.StatusServiceUnavailable, "unable to verify node password")
		return
	}
	if !matches {
		logError("unable to verify password for node %s: hash does not match", node)
		refuse(writer, http.StatusForbidden, "unable to verify password for node "+node)
		return
	}
	ca, want := choose(node)
	certPEM, keyPEM, err := ca.issue(want)
	if err != nil {
		refuse(writer, http.StatusInternalServerError, err.Error())
		return
	}
	writer.Write(append(certPEM, keyPEM...))
}

const (
	secretsPath        = "/api/v1/namespaces/kube-system/secrets"
	nodePasswordSuffix = ".node-password.k3s"
	// orphanAge is how long k3s keeps the password of a node that never registered.
	orphanAge = 10 * time.Minute
)

// secretObject is the part of a Secret that matters here.
type secretObject struct {
	Metadata struct {
		Name              string            `json:"name"`
		CreationTimestamp time.Time         `json:"creationTimestamp"`
		OwnerReferences   []json.RawMessage `json:"ownerReferences"`
	} `json:"metadata"`
	Data map[string]string `json:"data"`
}

// checkNodePassword compares with the Secret <node>.node-password.k3s, or keeps the password
// there when the name is new. So a second machine cannot take a node's name.
//
// Deviation from k3s: a salted SHA-256 instead of scrypt; the password is 128 random bits.
func (j *joinServer) checkNodePassword(ctx context.Context, node, password string) (bool, error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	name := node + nodePasswordSuffix
	var found secretObject
	err := j.api.get(ctx, secretsPath+"/"+name, &found)
	if err == nil {
		hash, err := base64.StdEncoding.DecodeString(found.Data["hash"])
		return err == nil && hashMatches(string(hash), password), err
	}
	if !hasStatus(err, http.StatusNotFound) {
		return false, err
	}
	return true, j.api.do(ctx, http.MethodPost, secretsPath, asJSON, map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
		"metadata":   map[string]any{"name": name},
		"stringData": map[string]string{"hash": hashPassword(randomHex(8), password)},
	}, nil)
}

func hashPassword(salt, password string) string {
	sum := sha256.Sum256([]byte(salt + ":" + password))
	return "$standin:" + salt + ":" + hex.EncodeToString(sum[:])
}

func hashMatches(stored, password string) bool {
	parts := strings.Split(stored, ":")
	return len(parts) == 3 && subtle.ConstantTimeCompare([]byte(hashPassword(parts[1], password)), []byte(stored)) == 1
}

// keepNodePasswords ties each node password to its Node, so that deleting the Node frees the
// name, and drops old ones whose Node never came.
func (j *joinServer) keepNodePasswords(ctx context.Context) {
	for pause(ctx, 5*time.Second) == nil {
		var secrets struct{ Items []secretObject }
		if err := j.api.get(ctx, secretsPath+"?fieldSelector=type%3DOpaque", &secrets); err != nil {
			continue // the next round looks again
		}
		for _, secret := range secrets.Items {
			node, isPassword := strings.CutSuffix(secret.Metadata.Name, nodePasswordSuffix)
			if !isPassword || len(secret.Metadata.OwnerReferences) > 0 {
				continue
			}
			if err := j.adopt(ctx, secret, node); err != nil && ctx.Err() == nil {
				logWarn("node password of %s: %v", node, err)
			}
		}
	}
}

// adopt makes the Node own its password's Secret.
func (j *joinServer) adopt(ctx context.Context, secret secretObject, node string) error {
	path := secretsPath + "/" + secret.Metadata.Name
	var owner struct {
		Metadata struct{ UID string }
	}
	err := j.api.get(ctx, "/api/v1/nodes/"+node, &owner)
	if hasStatus(err, http.StatusNotFound) {
		if time.Since(secret.Metadata.CreationTimestamp) < orphanAge {
			return nil
		}
		return j.api.do(ctx, http.MethodDelete, path, asJSON, nil, nil)
	}
	if err != nil {
		return err
	}
	reference := map[string]string{"apiVersion": "v1", "kind": "Node", "name": node, "uid": owner.Metadata.UID}
	return j.api.do(ctx, http.MethodPatch, path, asMerge,
		map[string]any{"metadata": map[string]any{"ownerReferences": []any{reference}}}, nil)
}
