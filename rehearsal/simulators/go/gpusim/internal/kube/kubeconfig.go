// Package kube is a small REST client of the Kubernetes API: just what the stand-ins need, without client-go.
package kube

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

type kubeconfig struct {
	CurrentContext string `json:"current-context"`
	Contexts       []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
	Clusters []struct {
		Name    string  `json:"name"`
		Cluster cluster `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string `json:"name"`
		User user   `json:"user"`
	} `json:"users"`
}

type cluster struct {
	Server  string `json:"server"`
	CA      string `json:"certificate-authority"`
	CAData  string `json:"certificate-authority-data"`
	TLSName string `json:"tls-server-name"`
}

type user struct {
	Cert      string `json:"client-certificate"`
	CertData  string `json:"client-certificate-data"`
	Key       string `json:"client-key"`
	KeyData   string `json:"client-key-data"`
	Token     string `json:"token"`
	TokenFile string `json:"tokenFile"`
}

// InCluster returns the client of a pod: the API server's address is in the environment, and the kubelet mounts
// the ServiceAccount's token and the certificate authority.
func InCluster() (*Client, error) {
	const account = "/var/run/secrets/kubernetes.io/serviceaccount"
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("found no KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, expected them in a pod; give --kubeconfig elsewhere")
	}
	return newClient(cluster{Server: "https://" + net.JoinHostPort(host, port), CA: "ca.crt"}, user{TokenFile: "token"}, account)
}

// Load reads a kubeconfig file: its current context, certificates and token inline (*-data) or in files.
// The server's certificate is always verified against the file's certificate authority.
func Load(path string) (*Client, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config kubeconfig
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	c, u, err := config.current()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	client, err := newClient(c, u, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	return client, nil
}

func (k kubeconfig) current() (cluster, user, error) {
	for _, context := range k.Contexts {
		if context.Name != k.CurrentContext {
			continue
		}
		for _, c := range k.Clusters {
			for _, u := range k.Users {
				if c.Name == context.Context.Cluster && u.Name == context.Context.User {
					return c.Cluster, u.User, nil
				}
			}
		}
	}
	return cluster{}, user{}, fmt.Errorf("no cluster and user for current-context %q", k.CurrentContext)
}

func newClient(c cluster, u user, dir string) (*Client, error) {
	ca, err := material(c.CAData, c.CA, dir)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{ServerName: c.TLSName, MinVersion: tls.VersionTLS12}
	if ca != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("certificate-authority holds no certificate")
		}
	}
	cert, err := material(u.CertData, u.Cert, dir)
	if err != nil {
		return nil, err
	}
	key, err := material(u.KeyData, u.Key, dir)
	if err != nil {
		return nil, err
	}
	if cert != nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	tokenFile := ""
	if u.TokenFile != "" {
		tokenFile = beside(dir, u.TokenFile)
	}
	return &Client{
		server:    strings.TrimRight(c.Server, "/"),
		token:     u.Token,
		tokenFile: tokenFile,
		http: &http.Client{Transport: &http.Transport{
			TLSClientConfig:       config,
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: 15 * time.Second,
			MaxIdleConnsPerHost:   4,
		}},
	}, nil
}

// material returns what base64 data or a file holds; nil when neither is given.
func material(data, file, dir string) ([]byte, error) {
	if data != "" {
		return base64.StdEncoding.DecodeString(data)
	}
	if file != "" {
		return os.ReadFile(beside(dir, file))
	}
	return nil, nil
}

func beside(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}
