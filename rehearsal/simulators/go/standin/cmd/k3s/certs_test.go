package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What a certificate is kept or issued anew for, over restarts.
func TestEnsureKeepsWhatFits(t *testing.T) {
	folder := t.TempDir()
	ca, err := ensureCA(filepath.Join(folder, "ca"), "ca")
	if err != nil {
		t.Fatal(err)
	}
	again, err := ensureCA(filepath.Join(folder, "ca"), "ca")
	if err != nil || !bytes.Equal(ca.pem, again.pem) {
		t.Fatalf("the CA must survive a restart (%v)", err)
	}
	path := filepath.Join(folder, "serving")
	issue := func(hosts ...string) []byte {
		t.Helper()
		if err := again.ensure(path, leaf{name: "k3s", hosts: hosts}); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path + ".crt")
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	first := issue("10.0.0.1", "a.example")
	if !bytes.Equal(first, issue("a.example", "10.0.0.1", "a.example")) {
		t.Error("same names in another order: issued anew")
	}
	if bytes.Equal(first, issue("a.example", "10.0.0.1", "b.example")) {
		t.Error("another name: not issued anew")
	}
}
