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
		"bad device ids":   {"", "invalid --device-id-strategy option: bogus", Env{DeviceIDStrategy: "bogus"}},
		"device ids":       {"", "", Env{DeviceIDStrategy: "index"}},
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

const (
	single2 = "flags: {migStrategy: single}\nsharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 2}]}}\n"
	// The article's file for an A100.
	a100 = "version: v1\nflags: {migStrategy: mixed}\nsharing: {timeSlicing: {resources: [" +
		"{name: nvidia.com/gpu, replicas: 8}, {name: nvidia.com/mig-1g.5gb, replicas: 2}, " +
		"{name: nvidia.com/mig-2g.10gb, replicas: 2}, {name: nvidia.com/mig-3g.20gb, replicas: 3}, " +
		"{name: nvidia.com/mig-7g.40gb, replicas: 7}]}}\n"
	a100Renamed = "flags: {migStrategy: mixed}\nsharing: {timeSlicing: {renameByDefault: true, resources: [{name: mig-1g.5gb, replicas: 4}]}}\n"
)

// Names and numbers as in internal/rm and internal/lm of k8s-device-plugin v0.19.0.
func TestCardsWholeAndCut(t *testing.T) {
	cut := MIG{"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}
	for name, test := range map[string]struct {
		machine   Machine
		text      string
		resources map[string]int
		labels    map[string]string
	}{
		"T4 x4 slices": {
			Machine{Product: "Tesla-T4", Count: 1}, "sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}",
			map[string]int{"nvidia.com/gpu": 4},
			map[string]string{"gpu.product": "Tesla-T4-SHARED", "gpu.memory": "15360", "gpu.replicas": "4", "gpu.family": "turing"},
		},
		"2080 Ti x6 slices": {
			Machine{Product: "NVIDIA-GeForce-RTX-2080-Ti", Count: 2}, timeSlicing6, map[string]int{"nvidia.com/gpu": 12},
			map[string]string{"gpu.product": "NVIDIA-GeForce-RTX-2080-Ti-SHARED", "gpu.count": "2", "gpu.memory": "11264"},
		},
		"H100 by MPS": {
			Machine{Product: "NVIDIA-H100-80GB-HBM3", Count: 8}, mps4, map[string]int{"nvidia.com/gpu": 32},
			map[string]string{"gpu.sharing-strategy": "mps", "mps.capable": "true", "gpu.memory": "81559"},
		},
		"A100 whole, the article's file": {
			Machine{Product: "NVIDIA-A100-SXM4-40GB", Count: 1}, a100, map[string]int{"nvidia.com/gpu": 8},
			map[string]string{"gpu.product": "NVIDIA-A100-SXM4-40GB-SHARED", "gpu.replicas": "8", "mig.strategy": "mixed"},
		},
		"A100 cut, the article's file": {
			Machine{Product: "NVIDIA-A100-SXM4-40GB", Count: 1, MIG: cut}, a100,
			map[string]int{"nvidia.com/mig-1g.5gb": 4, "nvidia.com/mig-2g.10gb": 2, "nvidia.com/mig-3g.20gb": 3},
			map[string]string{
				"gpu.product": "NVIDIA-A100-SXM4-40GB", "gpu.count": "1", "gpu.replicas": "0", "gpu.sharing-strategy": "none",
				"mig-1g.5gb.product": "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED", "mig-1g.5gb.count": "2",
				"mig-1g.5gb.replicas": "2", "mig-1g.5gb.sharing-strategy": "time-slicing", "mig-1g.5gb.memory": "4864",
				"mig-3g.20gb.count": "1", "mig-3g.20gb.replicas": "3", "mig-3g.20gb.slices.gi": "3",
				// As a real A100 was reported to say of its 2g and 3g partitions.
				"mig-2g.10gb.multiprocessors": "28", "mig-2g.10gb.engines.copy": "2", "mig-2g.10gb.engines.decoder": "1",
				"mig-3g.20gb.multiprocessors": "42", "mig-3g.20gb.engines.copy": "3", "mig-3g.20gb.engines.decoder": "2",
				"mig-3g.20gb.engines.encoder": "0", "mig-3g.20gb.engines.jpeg": "0", "mig-3g.20gb.engines.ofa": "0",
			},
		},
		"A100 cut, renamed": {
			Machine{Product: "NVIDIA-A100-SXM4-40GB", Count: 2, MIG: cut}, a100Renamed,
			map[string]int{"nvidia.com/mig-1g.5gb.shared": 16, "nvidia.com/mig-2g.10gb": 2, "nvidia.com/mig-3g.20gb": 2},
			map[string]string{
				"mig-1g.5gb.product": "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", "mig-1g.5gb.replicas": "4",
				"mig-2g.10gb.replicas": "1", "mig-2g.10gb.sharing-strategy": "none",
			},
		},
		"H200 cut alike, single": {
			Machine{Product: "NVIDIA-H200", Count: 2, MIG: MIG{"1g.18gb": 7}}, single2, map[string]int{"nvidia.com/gpu": 28},
			map[string]string{
				"gpu.product": "NVIDIA-H200-MIG-1g.18gb-SHARED", "gpu.count": "14", "gpu.replicas": "2",
				"gpu.sharing-strategy": "time-slicing", "gpu.slices.gi": "1", "mig.strategy": "single",
				"gpu.multiprocessors": "16", "gpu.engines.jpeg": "1",
			},
		},
		"with media engines": {
			Machine{Product: "NVIDIA-H200", Count: 1, MIG: MIG{"1g.18gb+me": 1}}, "flags: {migStrategy: mixed}",
			map[string]int{"nvidia.com/mig-1g.18gb.me": 1}, map[string]string{"mig-1g.18gb.me.product": "NVIDIA-H200-MIG-1g.18gb.me"},
		},
	} {
		config, err := ParseConfig(test.text, Env{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		m := machine(t, test.machine)
		if got := Resources(m, config); !maps.Equal(got, test.resources) {
			t.Errorf("%s: got %v, want %v", name, got, test.resources)
		}
		labels, err := Labels(m, config)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for key, want := range test.labels {
			if got := labels["nvidia.com/"+key]; got != want {
				t.Errorf("%s: %s is %q, want %q", name, key, got, want)
			}
		}
	}
}

func TestCutsThatThePluginRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		mig        MIG
		text, want string
	}{
		"several kinds, single": {MIG{"1g.5gb": 1, "2g.10gb": 1}, "flags: {migStrategy: single}", "more than one MIG device type present on node"},
		"partitions by MPS":     {MIG{"1g.5gb": 7}, "flags: {migStrategy: single}\n" + mps4, "sharing using MPS is not supported for MIG devices"},
	} {
		config, err := ParseConfig(test.text, Env{})
		if err != nil {
			t.Fatal(err)
		}
		m := machine(t, Machine{Product: "NVIDIA-A100-SXM4-40GB", Count: 1, MIG: test.mig})
		if err := ValidateDevices(m, config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
}

func TestRequestsForMoreThanOne(t *testing.T) {
	strict := "sharing: {timeSlicing: {failRequestsGreaterThanOne: true, resources: [{name: gpu, replicas: 6}]}}"
	renamed := "sharing: {timeSlicing: {failRequestsGreaterThanOne: true, renameByDefault: true, resources: [{name: gpu, replicas: 6}]}}"
	for name, test := range map[string]struct {
		text, resource string
		count          int
		refused        bool
	}{
		"one":               {strict, "nvidia.com/gpu", 1, false},
		"two":               {strict, "nvidia.com/gpu", 2, true},
		"two, renamed":      {renamed, "nvidia.com/gpu.shared", 2, true},
		"two of what is no": {strict, "nvidia.com/mig-1g.5gb", 2, false},
		"two, lenient":      {timeSlicing6, "nvidia.com/gpu", 2, false},
		"two by MPS":        {mps4, "nvidia.com/gpu", 2, true},
		"two, not shared":   {"version: v1", "nvidia.com/gpu", 2, false},
	} {
		config, err := ParseConfig(test.text, Env{})
		if err != nil {
			t.Fatal(err)
		}
		err = ValidateRequest(config, test.resource, test.count)
		if (err != nil) != test.refused {
			t.Errorf("%s: got %v", name, err)
		}
		// As the real plugin said on a real H200.
		if want := "invalid request: maximum request size for shared resources is 1; found 2"; err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v", name, err)
		}
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
