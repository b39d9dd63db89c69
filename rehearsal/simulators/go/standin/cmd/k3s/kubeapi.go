package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// kubeAPI is a small client of the Kubernetes API, enough for a handful of objects.
type kubeAPI struct {
	base   string
	client *http.Client
}

// apiError is an answer other than success.
type apiError struct {
	request string // method and path, or an address
	status  int
	message string
}

func (e *apiError) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.request, e.status, http.StatusText(e.status))
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

func hasStatus(err error, status int) bool {
	var answer *apiError
	return errors.As(err, &answer) && answer.status == status
}

// newKubeAPI talks to base with the client certificate pair at path.crt and path.key.
func newKubeAPI(base string, caPEM []byte, path string) (*kubeAPI, error) {
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if err != nil {
		return nil, err
	}
	return &kubeAPI{base: base, client: httpsClient(caPEM, pair)}, nil
}

// httpsClient trusts only the given CA and gives up on an answer after ten seconds, as k3s does.
func httpsClient(caPEM []byte, pairs ...tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(caPEM)
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: pairs},
		},
	}
}

// Content types of the API's ways to write.
const (
	asJSON  = "application/json"
	asMerge = "application/merge-patch+json"
	asPatch = "application/strategic-merge-patch+json"
	asApply = "application/apply-patch+yaml"
)

// do sends body (an object, or bytes as they are) and decodes the answer into out.
func (k *kubeAPI) do(ctx context.Context, method, path, contentType string, body, out any) error {
	content, ok := body.([]byte)
	if !ok && body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, k.base+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Accept", asJSON)
	response, err := k.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		var status struct{ Message string }
		_ = json.Unmarshal(answer, &status) // not every answer is a Status object
		return &apiError{method + " " + path, response.StatusCode, status.Message}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

func (k *kubeAPI) get(ctx context.Context, path string, out any) error {
	return k.do(ctx, http.MethodGet, path, asJSON, nil, out)
}

// apply creates or updates an object by server-side apply.
func (k *kubeAPI) apply(ctx context.Context, path string, object any) error {
	return k.do(ctx, http.MethodPatch, path+"?fieldManager=k3s&force=true", asApply, object, nil)
}

// writeKubeconfig writes a kubeconfig that holds its certificates, in k3s's form.
func writeKubeconfig(file, server string, caPEM []byte, pair string, mode os.FileMode) error {
	certPEM, err := os.ReadFile(pair + ".crt")
	if err != nil {
		return err
	}
	keyPEM, err := os.ReadFile(pair + ".key")
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: %s
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: %s
    client-key-data: %s
`, encode(caPEM), server, encode(certPEM), encode(keyPEM))
	return writeFile(file, []byte(text), mode)
}

func encode(content []byte) string { return base64.StdEncoding.EncodeToString(content) }
