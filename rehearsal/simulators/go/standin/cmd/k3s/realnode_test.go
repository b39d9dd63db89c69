package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestKubeletIsGivenLabelsThatItMayGiveItself(t *testing.T) {
	node := &nodeFacts{name: "box-1", addresses: []string{"10.0.0.1"}, labels: map[string]string{
		"pool": "rtx", "node-role.kubernetes.io/control-plane": "true",
	}}
	args := kubeletArgs(node)
	for _, want := range []string{"--node-labels=pool=rtx", "--node-ip=10.0.0.1", "--hostname-override=box-1"} {
		if !slices.Contains(args, want) {
			t.Errorf("found %q, expected %q in it", args, want)
		}
	}
}

func TestKubeletConfigurationHasNoNullTaints(t *testing.T) {
	content, err := json.Marshal(kubeletConfiguration(&nodeFacts{name: "box-1"}, clusterNetwork{}))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), `"registerWithTaints":[]`) {
		t.Errorf("found %s, expected an empty list of taints", content)
	}
}

func TestArchivesOfImagesAreKnownByTheirEnds(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"b.tar", "a.tar.zst", "list.txt", ".cache.json"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := archives(folder)
	want := []string{filepath.Join(folder, "a.tar.zst"), filepath.Join(folder, "b.tar")}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("found %q (%v), expected %q", found, err, want)
	}
	if found, err := archives(folder + "/missing"); err != nil || len(found) > 0 {
		t.Errorf("found %q (%v) in a folder that is not there", found, err)
	}
}
