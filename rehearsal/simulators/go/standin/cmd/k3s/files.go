package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Where k3s keeps its things. A data directory elsewhere is not played.
const (
	configFile      = "/etc/rancher/k3s/config.yaml"
	adminKubeconfig = "/etc/rancher/k3s/k3s.yaml"
	nodePassword    = "/etc/rancher/node/password"
	dataDir         = "/var/lib/rancher/k3s"
	serverDir       = dataDir + "/server"
	agentDir        = dataDir + "/agent"
	// toolDir holds the real Kubernetes programs; gpusFile describes the
	// machine's simulated GPUs. Both belong to the rehearsal, not to k3s.
	toolDir  = "/opt/standin/bin"
	gpusFile = "/etc/standin/gpus.json"
)

// writeFile replaces a file in one step, so that a power cut leaves the old or
// the new content. It makes missing folders readable by root only.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".standin-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if err := errors.Join(tmp.Chmod(mode), writeAll(tmp, content), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func writeAll(file *os.File, content []byte) error {
	if _, err := file.Write(content); err != nil {
		return err
	}
	return file.Sync()
}

// readSecretFile reads a token file. Like k3s it waits four minutes for a file
// that is not there yet, because another program may be about to write it.
func readSecretFile(ctx context.Context, path string) (string, error) {
	deadline := time.Now().Add(4 * time.Minute)
	for {
		content, err := os.ReadFile(path)
		if err == nil {
			return strings.TrimSpace(string(content)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || time.Now().After(deadline) {
			return "", fmt.Errorf("token file %s: %w", path, err)
		}
		logInfo("Waiting for %s to be available", path)
		if err := pause(ctx, 2*time.Second); err != nil {
			return "", err
		}
	}
}

// pause sleeps, or returns the context's error as soon as it ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
