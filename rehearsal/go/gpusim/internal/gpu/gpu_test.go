package gpu

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	timeSlicing6 = "version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 6}]}}\n"
	renamed6     = "version: v1\nsharing: {timeSlicing: {renameByDefault: true, resources: [{name: nvidia.com/gpu, replicas: 6}]}}\n"
	mps4         = "version: v1\nsharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}\n"
	migOnly      = "version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/mig-1g.18gb, replicas: 2}]}}\n"
	both         = "version: v1\nsharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 4}]}, timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 6}]}}\n"
)

func machine(t *testing.T, m Machine) Machine {
	t.Helper()
	m, err := m.completed()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func h200(t *testing.T) Machine {
	return machine(t, Machine{Product: "NVIDIA-H200", Count: 1, Driver: "580.159.04"})
}

// The files were written by the real gpu-feature-discovery v0.19.0 on a real H200.
func TestLabelsAreThoseOfTheRealCard(t *testing.T) {
	for file, text := range map[string]string{
		"labels.none": "version: v1\n", "labels.ts6": timeSlicing6, "labels.ts6rename": renamed6,
		"labels.mps4": mps4, "labels.migonly": migOnly, "labels.both": both,
	} {
		config, err := ParseConfig(text, Env{})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		got, err := Labels(h200(t), config)
		if err != nil {
			t.Fatal(err)
		}
		if want := readLabels(t, file); !maps.Equal(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", file, got, want)
		}
	}
}

func readLabels(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "h200", file))
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		key, value, _ := strings.Cut(line, "=")
		labels[key] = value
	}
	return labels
}

// What the real device plugin v0.19.0 registered on a real H200 for the same files.
func TestResources(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		count int
		want  map[string]int
	}{
		"no file":                 {"", 1, map[string]int{"nvidia.com/gpu": 1}},
		"none":                    {"version: v1\n", 1, map[string]int{"nvidia.com/gpu": 1}},
		"slices":                  {timeSlicing6, 1, map[string]int{"nvidia.com/gpu": 6}},
		"two cards":               {timeSlicing6, 2, map[string]int{"nvidia.com/gpu": 12}},
		"no cards":                {timeSlicing6, 0, map[string]int{}},
		"renamed":                 {renamed6, 1, map[string]int{"nvidia.com/gpu.shared": 6}},
		"mps":                     {mps4, 1, map[string]int{"nvidia.com/gpu": 4}},
		"mps wins":                {both, 1, map[string]int{"nvidia.com/gpu": 4}},
		"MIG off":                 {migOnly, 1, map[string]int{"nvidia.com/gpu": 1}},
		"misplaced key":           {"version: v1\nsharing: {renameByDefault: true, timeSlicing: {resources: [{name: gpu, replicas: 6}]}}\n", 1, map[string]int{"nvidia.com/gpu": 6}},
		"rename, devices ignored": {"sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, rename: nvidia.com/x, devices: 1, replicas: 3}]}}\n", 2, map[string]int{"nvidia.com/gpu": 6}},
		"a name twice":            {"sharing: {timeSlicing: {resources: [{name: gpu, replicas: 3}, {name: gpu, replicas: 5}]}}\n", 1, map[string]int{"nvidia.com/gpu": 5}},
	} {
		config, err := ParseConfig(test.text, Env{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := Resources(machine(t, Machine{Product: "NVIDIA-H200", Count: test.count}), config)
		if !maps.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func TestRefusalsHaveThePluginsOwnWords(t *testing.T) {
	for text, want := range map[string]string{
		"sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 1}]}}": "unable to load config: unable to finalize config: unable to parse config file: error parsing config file: " +
			"unmarshal error: error unmarshaling JSON: while decoding JSON: number of replicas must be >= 2",
		"sharing: {timeSlicing: {resources: []}}":                       "no resources specified",
		"sharing: {timeSlicing: {}}":                                    "no resources specified",
		"sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu}]}}": "no replicas specified",
		"sharing: {timeSlicing: {resources: [{replicas: 2}]}}":          "no resource name specified",
		"version: v2": "unknown version: v2",
		"sharing: {timeSlicing: {resources: [{name: NVIDIA.COM/GPU, replicas: 2}]}}":   "incorrect format for resource name",
		"sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 2.5}]}}": "cannot unmarshal number 2.5",
	} {
		if _, err := ParseConfig(text, Env{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestPluginsChecksOfTheEnvironment(t *testing.T) {
	for name, test := range map[string]struct {
		text, want string
		env        Env
	}{
		"mps without root": {mps4, "using MPS requires --mps-root to be specified", Env{}},
		"mps, mixed":       {mps4, "using --mig-strategy=mixed is not supported with MPS", Env{MIGStrategy: "mixed", MPSRoot: "/mps"}},
		"bad strategy":     {"flags: {migStrategy: many}", "unknown MIG strategy: many", Env{}},
		"mps":              {mps4, "", Env{MIGStrategy: "single", MPSRoot: "/mps"}},
		"env wins":         {"flags: {migStrategy: many}", "", Env{MIGStrategy: "single"}},
	} {
		config, err := ParseConfig(test.text, test.env)
		if err != nil {
			t.Fatal(err)
		}
		err = ValidatePlugin(config)
		if (err == nil) != (test.want == "") || err != nil && !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestMIGStrategyOfTheOperatorBecomesALabel(t *testing.T) {
	config, err := ParseConfig("", Env{MIGStrategy: "single"})
	if err != nil {
		t.Fatal(err)
	}
	labels, err := Labels(h200(t), config)
	if err != nil || labels["nvidia.com/mig.strategy"] != "single" {
		t.Errorf("got %v, %v", labels, err)
	}
}

func TestMachineFile(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "gpus.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	m, err := LoadMachine(write(`{"product": "NVIDIA-GeForce-RTX-2080-Ti", "count": 1, "driver": "550.54", "uuid": "for nvidia-smi"}`))
	if err != nil || m.MemoryMiB != 11264 || m.ComputeMinor != 5 || *m.MIGCapable || m.Driver != "550.54" || m.PCIClass != "0300" {
		t.Errorf("table: got %+v, %v", m, err)
	}
	if m, err = LoadMachine(filepath.Join(t.TempDir(), "absent")); err != nil || m.Count != 0 {
		t.Errorf("no file: got %+v, %v", m, err)
	}
	for text, want := range map[string]string{
		`{"product": "Voodoo-2", "count": 1}`:     "not in the built-in table",
		`{"product": "NVIDIA-H200", "count": -1}`: "expected 0 or more",
	} {
		if _, err := LoadMachine(write(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
