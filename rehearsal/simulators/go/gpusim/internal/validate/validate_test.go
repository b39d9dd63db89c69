package validate

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine returns a validator whose container has files of these names.
func machine(t *testing.T, files ...string) Validator {
	t.Helper()
	root := t.TempDir()
	for _, file := range files {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Validator{
		Log: log.New(io.Discard, "", 0), Status: t.TempDir(), Host: t.TempDir(), CharDevs: t.TempDir(), Root: root,
		Driver: func(context.Context, string, string) error { return nil },
	}
}

func TestDriverFileSaysWhereTheDriverIs(t *testing.T) {
	v := machine(t)
	if err := v.Run(t.Context(), "driver", false); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(filepath.Join(v.Status, "driver-ready")); !strings.Contains(string(text), "DRIVER_ROOT_CTR_PATH=/host\n") {
		t.Errorf("%s", text)
	}
}

func TestFailedCheckTakesTheFileAway(t *testing.T) {
	v := machine(t)
	v.Driver = func(context.Context, string, string) error { return errors.New("no driver") }
	file := filepath.Join(v.Status, "driver-ready")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := v.Run(t.Context(), "driver", false); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestToolkitNeedsLibraryCommandAndDevice(t *testing.T) {
	files := []string{"usr/bin/nvidia-smi", "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.126.20", "dev/nvidia0"}
	if err := machine(t, files...).Run(t.Context(), "toolkit", false); err != nil {
		t.Error(err)
	}
	for i := range files {
		without := append(append([]string{}, files[:i]...), files[i+1:]...)
		if err := machine(t, without...).Run(t.Context(), "toolkit", false); err == nil {
			t.Errorf("passed without %s", files[i])
		}
	}
}

func TestPluginCountsSharedAndPartitionedCards(t *testing.T) {
	for resource, want := range map[string]bool{"nvidia.com/gpu": true, "nvidia.com/gpu.shared": true, "nvidia.com/mig-1g.5gb": true, "cpu": false} {
		if got := offersGPU(map[string]string{resource: "6", "memory": "1Gi"}); got != want {
			t.Errorf("%s: %v", resource, got)
		}
	}
	if offersGPU(map[string]string{"nvidia.com/gpu": "0"}) {
		t.Error("none of a resource is an offer")
	}
}
