// Package validate is the stand-in of NVIDIA's validator, which runs in pods of real nodes: it checks one part of
// the GPU software and leaves a file for those who wait for it.
package validate

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

const (
	interval = 5 * time.Second
	retries  = 30 // of the wait for the device plugin
)

// The vendor's device plugin looks for the driver where this file says: in the container the machine is at /host.
const hostDriver = `IS_HOST_DRIVER=true
NVIDIA_DRIVER_ROOT=/
DRIVER_ROOT_CTR_PATH=/host
NVIDIA_DEV_ROOT=/
DEV_ROOT_CTR_PATH=/host
`

// Validator checks parts of one machine; its paths are a container's.
type Validator struct {
	Log      *log.Logger
	Status   string // folder of the files, shared with the machine
	Host     string // the machine's file system
	CharDevs string // the machine's /dev/char
	Root     string // the container's own file system
	Node     string
	API      func() (*kube.Client, error)
	Driver   func(ctx context.Context, host, command string) error // runs a command of the machine
}

// Run validates "driver", "toolkit", "cuda" or "plugin". With wait it repeats a check of the driver that fails.
func (v Validator) Run(ctx context.Context, component string, wait bool) error {
	file := filepath.Join(v.Status, component+"-ready")
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	content, err := "", error(nil)
	switch component {
	case "driver":
		content, err = hostDriver, v.driver(ctx, wait)
	case "toolkit":
		err = v.toolkit()
	case "cuda":
		v.Log.Print("cuda: this stand-in runs no CUDA program")
	case "plugin":
		err = v.plugin(ctx)
	default:
		err = fmt.Errorf("COMPONENT: found %q, expected driver, toolkit, cuda or plugin", component)
	}
	if err != nil {
		return fmt.Errorf("%s is not ready: %w", component, err)
	}
	v.Log.Printf("%s is ready", component)
	return writeFile(file, content)
}

// writeFile makes a file appear with its content.
func writeFile(file, content string) error {
	temporary := filepath.Join(filepath.Dir(file), "."+filepath.Base(file))
	if err := os.WriteFile(temporary, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, file)
}

func (v Validator) driver(ctx context.Context, wait bool) error {
	for {
		err := v.Driver(ctx, v.Host, "nvidia-smi")
		if err == nil {
			return v.linkDevices()
		}
		if !wait {
			return err
		}
		v.Log.Printf("driver: %v; trying again in %s", err, interval)
		if err := sleep(ctx); err != nil {
			return err
		}
	}
}

// linkDevices makes the links in /dev/char by which systemd finds a device that it is told by numbers: without them
// a reload of systemd takes the cards away from running containers (gpu-operator, issue 430).
func (v Validator) linkDevices() error {
	devices, err := filepath.Glob(filepath.Join(v.Host, "dev/nvidia*"))
	if err != nil {
		return err
	}
	for _, device := range devices {
		numbers, ok := characterDevice(device)
		if !ok {
			continue
		}
		link := filepath.Join(v.CharDevs, numbers)
		if err := os.Symlink("../"+filepath.Base(device), link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// toolkit checks what NVIDIA's runtime has put into this container.
func (v Validator) toolkit() error {
	for what, patterns := range map[string][]string{
		"nvidia-smi":       {"usr/bin/nvidia-smi", "usr/local/nvidia/bin/nvidia-smi"},
		"libnvidia-ml.so":  {"usr/lib/*/libnvidia-ml.so.*", "usr/lib64/libnvidia-ml.so.*", "usr/local/nvidia/lib64/libnvidia-ml.so.*"},
		"/dev/nvidia<num>": {"dev/nvidia[0-9]*"},
	} {
		found := slices.ContainsFunc(patterns, func(pattern string) bool {
			matches, _ := filepath.Glob(filepath.Join(v.Root, pattern)) // the patterns are ours
			return len(matches) > 0
		})
		if !found {
			return fmt.Errorf("found no %s in this container, expected NVIDIA's runtime to bring it; looked for %s",
				what, strings.Join(patterns, ", "))
		}
	}
	return nil
}

func (v Validator) plugin(ctx context.Context) error {
	api, err := v.API()
	if err != nil {
		return err
	}
	for range retries {
		var node kube.Node
		if err := api.Get(ctx, "/api/v1/nodes/"+v.Node, nil, &node); err != nil {
			return err
		}
		if offersGPU(node.Status.Capacity) {
			return nil
		}
		v.Log.Printf("plugin: node %s has no nvidia.com/gpu yet", v.Node)
		if err := sleep(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("node %s: found no capacity of nvidia.com/gpu or nvidia.com/mig-* after %s", v.Node, retries*interval)
}

func offersGPU(capacity map[string]string) bool {
	for name, quantity := range capacity {
		isGPU := strings.HasPrefix(name, "nvidia.com/gpu") || strings.HasPrefix(name, "nvidia.com/mig-")
		if count, err := strconv.Atoi(quantity); isGPU && err == nil && count > 0 {
			return true
		}
	}
	return false
}

func sleep(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(interval):
		return nil
	}
}
