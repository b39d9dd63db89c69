package kube

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func writeKubeconfig(t *testing.T, server *httptest.Server, ca, user string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n" +
		"clusters: [{name: c, cluster: {server: \"" + server.URL + "\", " + ca + "}}]\nusers: [{name: u, user: {" + user + "}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func caData(server *httptest.Server) string {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return "certificate-authority-data: " + base64.StdEncoding.EncodeToString(text)
}

func TestTokenAndAuthorityFromTheFile(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"metadata": {"name": "n"}}`)
	}))
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	client, err := Load(writeKubeconfig(t, server, caData(server), "token: s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	var node Node
	if err := client.Get(context.Background(), "/api/v1/nodes/n", nil, &node); err != nil || node.Metadata.Name != "n" {
		t.Errorf("%+v, %v", node, err)
	}
	stranger, err := Load(writeKubeconfig(t, server, "tls-server-name: example.com", "token: s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Get(context.Background(), "/", nil, &node); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority was accepted: %v", err)
	}
}

func TestAnswersBecomeErrors(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind": "Status", "message": "nodes \"n\" not found"}`)
	}))
	defer server.Close()
	client, err := Load(writeKubeconfig(t, server, caData(server), ""))
	if err != nil {
		t.Fatal(err)
	}
	err = client.Get(context.Background(), "/api/v1/nodes/n", nil, nil)
	if !IsNotFound(err) || !strings.Contains(err.Error(), `nodes "n" not found`) {
		t.Error(err)
	}
}

func TestKubeconfigWithoutContextIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte("current-context: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), `current-context "x"`) {
		t.Error(err)
	}
}

func TestPause(t *testing.T) {
	for _, test := range []struct {
		asked    time.Duration
		watching bool
		want     time.Duration
	}{
		{0, true, whenWatch}, {0, false, whenPoll}, {time.Millisecond, false, time.Millisecond}, {time.Hour, true, whenWatch},
	} {
		if got := pause(test.asked, test.watching); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
