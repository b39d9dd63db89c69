// Package gpu holds what NVIDIA's software makes of a machine's GPUs and of a sharing file: resources and labels.
// It has no I/O but the file that describes the simulated machine.
package gpu

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Machine describes the GPUs a machine pretends to have. Only product and count must be given for a product of
// the built-in table; whatever the file says wins over the table. Keys that are not listed here belong to the
// machine's other stand-ins, which read the same file.
type Machine struct {
	Product      string  `json:"product"`             // as gpu-feature-discovery writes it: NVIDIA-GeForce-RTX-2080-Ti
	Count        int     `json:"count"`               // physical cards, all alike
	MemoryMiB    int     `json:"memoryMiB"`           // of one card
	Driver       string  `json:"driver"`              // 580.126.20
	CUDA         string  `json:"cuda"`                // what the driver supports: 13.0
	ComputeMajor int     `json:"computeMajor"`        // compute capability
	ComputeMinor int     `json:"computeMinor"`        //
	PCIDevice    string  `json:"pciDevice"`           // vendor's device id: 1e07
	PCIClass     string  `json:"pciClass"`            // 0300 VGA controller, 0302 3D controller
	MIGCapable   *bool   `json:"migCapable"`          //
	MIG          MIG     `json:"mig"`                 // partitions of each card, none where it is whole
	MachineType  string  `json:"machineType"`         // DMI product name, "unknown" when there is none
	OSID         string  `json:"osId"`                // os-release ID; read from the machine when empty
	OSVersionID  string  `json:"osVersionId"`         // os-release VERSION_ID; likewise
	ConfigMapLag float64 `json:"configMapLagSeconds"` // a real kubelet takes up to about 90 s to refresh a mounted ConfigMap
	CrashBackoff float64 `json:"crashBackoffSeconds"` // first pause before a failed container is started again; doubles up to 300 s
	StopGrace    float64 `json:"stopGraceSeconds"`    // how long a gone plugin's devices stay in capacity (kubelet: 300 s)
}

// MIG says how many partitions of each profile a card is cut into: {"1g.5gb": 7}.
type MIG map[string]int

type product struct {
	memoryMiB  int
	major      int
	minor      int
	device     string
	class      string
	migCapable bool
}

// Compute capability: NVIDIA's list of CUDA GPUs; device ids: pci.ids; memory: what nvidia-smi reports.
var products = map[string]product{
	"NVIDIA-GeForce-RTX-2080-Ti": {11264, 7, 5, "1e07", "0300", false},
	"Tesla-T4":                   {15360, 7, 5, "1eb8", "0302", false},
	"NVIDIA-A100-SXM4-40GB":      {40960, 8, 0, "20b0", "0302", true},
	"NVIDIA-A100-PCIE-40GB":      {40960, 8, 0, "20f1", "0302", true},
	"NVIDIA-H100-80GB-HBM3":      {81559, 9, 0, "2330", "0302", true},
	"NVIDIA-H100-PCIe":           {81559, 9, 0, "2331", "0302", true},
	"NVIDIA-H200":                {143771, 9, 0, "2335", "0302", true},
}

// LoadMachine reads the file that describes the simulated GPUs. No file means a machine without GPUs.
func LoadMachine(path string) (Machine, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Machine{}.completed()
	}
	if err != nil {
		return Machine{}, err
	}
	machine := Machine{}
	if err := json.Unmarshal(text, &machine); err != nil {
		return Machine{}, fmt.Errorf("%s: %w", path, err)
	}
	machine, err = machine.completed()
	if err != nil {
		return Machine{}, fmt.Errorf("%s: %w", path, err)
	}
	return machine, nil
}

func (m Machine) completed() (Machine, error) {
	known, ok := products[m.Product]
	if m.Count < 0 {
		return m, fmt.Errorf("count is %d, expected 0 or more", m.Count)
	}
	if m.Count > 0 && !ok && (m.MemoryMiB == 0 || m.ComputeMajor == 0) {
		return m, fmt.Errorf("product %q is not in the built-in table: give memoryMiB, computeMajor and computeMinor", m.Product)
	}
	setDefault(&m.MemoryMiB, known.memoryMiB)
	if m.ComputeMajor == 0 {
		m.ComputeMajor, m.ComputeMinor = known.major, known.minor
	}
	setDefault(&m.PCIDevice, known.device)
	setDefault(&m.PCIClass, known.class)
	setDefault(&m.PCIClass, "0302")
	setDefault(&m.Driver, "580.126.20")
	setDefault(&m.CUDA, "13.0")
	setDefault(&m.MachineType, "unknown")
	setDefault(&m.CrashBackoff, 10)
	setDefault(&m.StopGrace, 300)
	if m.MIGCapable == nil {
		m.MIGCapable = &known.migCapable
	}
	return m, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Seconds turns a number of the machine's file into a duration.
func Seconds(number float64) time.Duration { return time.Duration(number * float64(time.Second)) }
