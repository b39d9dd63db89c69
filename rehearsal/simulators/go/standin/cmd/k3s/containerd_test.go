package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRegistries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registries.yaml")
	text := `
mirrors:
  docker.io: {endpoint: ["https://mirror.example:5000/"], rewrite: {"^library/(.*)": "hub/$1"}}
  "*": {endpoint: ["https://all.example"]}
configs:
  mirror.example:5000: {auth: {username: me, password: secret}, tls: {insecure_skip_verify: true}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := readRegistries(path)
	if err != nil {
		t.Fatal(err)
	}
	hosts := known.hosts()
	for host, want := range map[string][]string{
		"docker.io": {`server = "https://docker.io/v2"`, `[host."https://mirror.example:5000/v2"]`, `"^library/(.*)" = "hub/$1"`},
		"_default":  {`[host."https://all.example/v2"]`},
	} {
		for _, line := range want {
			if !strings.Contains(hosts[host], line) {
				t.Errorf("%s: found %q, expected %s in it", host, hosts[host], line)
			}
		}
	}
	config := containerdConfig("nvidia", map[string]string{"nvidia": "/usr/bin/nvidia-container-runtime"}, true, known)
	for _, line := range []string{
		`registry.configs."mirror.example:5000".auth]`, `password = "secret"`, `default_runtime_name = "nvidia"`,
		`BinaryName = "/usr/bin/nvidia-container-runtime"`,
	} {
		if !strings.Contains(config, line) {
			t.Errorf("found %q, expected %s in it", config, line)
		}
	}
	if err := os.WriteFile(path, []byte("mirrors: [a]"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = readRegistries(path)
	checkError(t, err, "failed to parse")
	if _, err := readRegistries(path + ".missing"); err != nil {
		t.Error(err)
	}
}

func TestTheOperatorsRuntimeComesFirst(t *testing.T) {
	toolkit, packaged := t.TempDir(), t.TempDir()
	if found := findRuntimes([]string{toolkit, packaged}); len(found) > 0 {
		t.Errorf("found %q where there is none", found)
	}
	for _, folder := range []string{packaged, toolkit} {
		path := filepath.Join(folder, "nvidia-container-runtime")
		if err := os.WriteFile(path, nil, 0o700); err != nil {
			t.Fatal(err)
		}
		if found := findRuntimes([]string{toolkit, packaged})["nvidia"]; found != path {
			t.Errorf("found %q, expected %q", found, path)
		}
	}
}

func TestLabelsOfANode(t *testing.T) {
	for key, refused := range map[string]bool{
		"pool": false, "example.com/pool": false, "nvidia.com/gpu.deploy": false, "node.kubernetes.io/pool": false,
		"topology.kubernetes.io/zone": false, "topology.kubernetes.io/rack": true, "node-role.kubernetes.io/gpu": true,
		"k8s.io/x": true, "a.node.kubernetes.io/x": false,
	} {
		if err := checkLabels([]string{key}); (err != nil) != refused {
			t.Errorf("%s: found %v, expected refused to be %t", key, err, refused)
		}
	}
}
