package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	imagesDir = agentDir + "/images"
	// toolImages holds archives that stand for the registries which a machine does not reach.
	toolImages = "/opt/standin/images"
	// importedFile remembers what was imported, as k3s does, so that a restart imports only what changed.
	importedFile  = imagesDir + "/.cache.json"
	importSeconds = 300
)

// archives are the archives of images in a folder, in the order of their names.
func archives(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var found []string
	for _, entry := range entries {
		for _, end := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.lz4"} {
			if strings.HasSuffix(entry.Name(), end) {
				found = append(found, filepath.Join(folder, entry.Name()))
				break
			}
		}
	}
	return found, err
}

// noticeImages names the archives of an air-gapped install, which k3s imports at its start.
func noticeImages() error {
	found, err := archives(imagesDir)
	for _, path := range found {
		logInfo("Importing images from %s", path)
	}
	return err
}

// importImages imports, all at once, the archives of images that are new or have changed since the last start.
func importImages(ctx context.Context) error {
	known := map[string]string{}
	_ = json.Unmarshal([]byte(readText(importedFile)), &known) // a file that cannot be read is as good as none
	changed := map[string]string{}
	for _, folder := range []string{toolImages, imagesDir} {
		found, err := archives(folder)
		if err != nil {
			return err
		}
		for _, path := range found {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			state := fmt.Sprintf("%d %s", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
			if known[path] != state {
				changed[path] = state
			}
		}
	}
	if len(changed) == 0 {
		return nil
	}
	ended := make(chan error)
	for path := range changed {
		go func() { ended <- importImage(ctx, path) }()
	}
	var err error
	for range changed {
		err = errors.Join(err, <-ended)
	}
	if err != nil {
		return err
	}
	maps.Copy(known, changed)
	content, err := json.Marshal(known)
	if err != nil {
		return err
	}
	return writeFile(importedFile, content, 0o600)
}

// importImage imports one archive. The images are pinned, as k3s's are: no registry could bring them back.
func importImage(ctx context.Context, path string) error {
	began := time.Now()
	inner, cancel := context.WithTimeout(ctx, importSeconds*time.Second)
	defer cancel()
	if _, err := runCtr(inner, "images", "import", "--label", "io.cri-containerd.pinned=pinned", path); err != nil {
		return fmt.Errorf("import images from %s: %w", path, err)
	}
	logInfo("Imported images from %s in %s", path, time.Since(began).Round(time.Millisecond))
	return nil
}

// runCtr runs containerd's own client in the namespace of Kubernetes, and returns what it prints.
func runCtr(ctx context.Context, args ...string) (string, error) {
	args = slices.Concat([]string{"--address", containerdSocket, "--namespace", "k8s.io"}, args)
	output, err := exec.CommandContext(ctx, filepath.Join(toolDir, "ctr"), args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(string(output)))
	}
	return string(output), nil
}
