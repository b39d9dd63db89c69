package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"
)

// joinTarget is the server to join and the token to show it.
type joinTarget struct{ url, token string }

// runAgent is `k3s agent`: join, then play the node.
func runAgent(ctx context.Context, cfg *config, notify *notifier) error {
	target := joinTarget{url: strings.TrimRight(cfg.str("server"), "/")}
	var err error
	if target.token, err = configuredToken(ctx, cfg, "token"); err != nil {
		return err
	}
	if target.token == "" {
		return errors.New("--token is required")
	}
	if target.url == "" {
		return errors.New("--server is required")
	}
	logInfo("Starting k3s agent %s (stand-in)", version)
	node, err := describeNode(cfg, target.url)
	if err != nil {
		return err
	}
	if err := errors.Join(makeAgentFolders(), prepareNode(cfg)); err != nil {
		return err
	}
	programs := newChildren(ctx)
	defer programs.stop()
	balance, err := startBalancer(programs.ctx, target.url)
	if err != nil {
		return err
	}
	from, err := startNode(ctx, cfg, target, balancerURL, node, nil, programs)
	if err != nil {
		return err
	}
	go balance.follow(programs.ctx, from)
	logInfo("k3s agent is up and running (stand-in)")
	notify.ready()
	return untilEnd(ctx, programs)
}

// server is a joined or joinable server: its checked CA and the secret for it.
type server struct {
	url    string
	secret string
	caPEM  []byte
}

// findServer fetches, by the address via, the server's CA and checks it against the token. Like k3s it tries
// for ever every two seconds, also when the hash is wrong, and logs each failure.
func findServer(ctx context.Context, target joinTarget, via string) (*server, error) {
	for {
		found, err := checkServer(ctx, target.token, via)
		if err == nil {
			return found, nil
		}
		logError("Failed to validate connection to cluster at %s: %v", target.url, err)
		if err := pause(ctx, 2*time.Second); err != nil {
			return nil, err
		}
	}
}

func checkServer(ctx context.Context, token, via string) (*server, error) {
	parsed, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	// The CA is not known yet: taken from whoever answers, then held against the token's hash.
	blind := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	caPEM, err := fetch(ctx, blind, via+"/cacerts", nil)
	if err != nil {
		return nil, fmt.Errorf("failed to get CA certs: %w", err)
	}
	if _, err := fetch(ctx, httpsClient(caPEM), via+"/cacerts", nil); err != nil {
		return nil, fmt.Errorf("CA cert validation failed: %w", err)
	}
	if parsed.caHash == "" {
		logWarn("Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. " +
			"Use the full token from the server's node-token file to enable Cluster CA validation.")
	}
	return &server{url: via, secret: parsed.secret, caPEM: caPEM}, parsed.checkCA(caPEM)
}

// fetch gets a path; prepare, if given, completes the request.
func fetch(ctx context.Context, client *http.Client, address string, prepare func(*http.Request)) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if prepare != nil {
		prepare(request)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &apiError{request: address, status: response.StatusCode}
	}
	return io.ReadAll(response.Body)
}

// joinServerAs gets the node's files from the server. Like k3s it tries for ever, every five
// to ten seconds, whatever the reason: wrong secret, wrong node password, server not ready.
func joinServerAs(ctx context.Context, from *server, node *nodeFacts) error {
	for {
		err := from.fetchNodeFiles(ctx, node)
		if err == nil {
			return nil
		}
		logInfo("Waiting to retrieve agent configuration; server is not ready: %v", err)
		delay := 5*time.Second + rand.N(5*time.Second)
		if err := pause(ctx, delay); err != nil {
			return err
		}
	}
}

func (s *server) fetchNodeFiles(ctx context.Context, node *nodeFacts) error {
	if err := s.checkRelease(ctx); err != nil {
		return fmt.Errorf("failed to retrieve configuration from server: %w", err)
	}
	password, err := ensureNodePassword()
	if err != nil {
		return err
	}
	asNode := func(request *http.Request) {
		request.Header.Set(nodeNameHeader, node.name)
		request.Header.Set(nodePasswordHeader, password)
		request.Header.Set(nodeIPHeader, strings.Join(node.addresses, ","))
	}
	for _, name := range []string{"server-ca", "client-ca"} {
		content, err := s.get(ctx, name+".crt", nil)
		if err != nil {
			return err
		}
		if err := writeFile(agentDir+"/"+name+".crt", content, 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{"client-kubelet", "serving-kubelet", "client-kube-proxy"} {
		both, err := s.get(ctx, name+".crt", asNode)
		if hasStatus(err, http.StatusForbidden) {
			return fmt.Errorf("Node password rejected, duplicate hostname or contents of '%s' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag", nodePassword)
		}
		if err != nil {
			return err
		}
		certPEM, keyPEM := splitPair(both)
		path := agentDir + "/" + name
		if err := errors.Join(writeFile(path+".key", keyPEM, 0o600), writeFile(path+".crt", certPEM, 0o600)); err != nil {
			return err
		}
	}
	return errors.Join(
		writeKubeconfig(agentDir+"/kubelet.kubeconfig", s.url, s.caPEM, agentDir+"/client-kubelet", 0o600),
		writeKubeconfig(proxyKubeconfig, s.url, s.caPEM, agentDir+"/client-kube-proxy", 0o600),
	)
}

// checkRelease asks which release the server is.
func (s *server) checkRelease(ctx context.Context) error {
	answer, err := s.clusterNetwork(ctx)
	if err != nil {
		return err
	}
	return checkServerRelease(version, answer.Version)
}

// get fetches one of the supervisor's files. As in k3s the user is "node" whatever the token
// says, so a server's token joins agents only while no agent-token of its own is set.
func (s *server) get(ctx context.Context, name string, prepare func(*http.Request)) ([]byte, error) {
	return s.getAs(ctx, "node", joinPrefix+name, prepare)
}

// getAs fetches a path as "node" or, with the server's token, as "server".
func (s *server) getAs(ctx context.Context, user, path string, prepare func(*http.Request)) ([]byte, error) {
	client := httpsClient(s.caPEM)
	defer client.CloseIdleConnections()
	return fetch(ctx, client, s.url+path, func(request *http.Request) {
		request.SetBasicAuth(user, s.secret)
		if prepare != nil {
			prepare(request)
		}
	})
}

// ensureNodePassword reads or makes the password that proves that this machine is the one that
// first used its node name. It survives uninstalling.
func ensureNodePassword() (string, error) {
	content, err := os.ReadFile(nodePassword)
	if err == nil {
		return strings.TrimSpace(string(content)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	password := randomHex(16)
	return password, writeFile(nodePassword, []byte(password+"\n"), 0o600)
}
