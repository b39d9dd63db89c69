package gpu

import (
	"fmt"
	"strconv"
	"strings"

	spec "github.com/NVIDIA/k8s-device-plugin/api/config/v1"
)

// Labels returns what gpu-feature-discovery v0.19 writes for this machine, but for gfd.timestamp. Recorded
// from the real program on a real H200 in testdata.
func Labels(machine Machine, config *spec.Config) (map[string]string, error) {
	if machine.Count == 0 {
		return map[string]string{"nvidia.com/vgpu.present": "false"}, nil
	}
	labels := map[string]string{
		"nvidia.com/gpu.machine":       machine.MachineType,
		"nvidia.com/gpu.count":         strconv.Itoa(machine.Count),
		"nvidia.com/gpu.memory":        strconv.Itoa(machine.MemoryMiB),
		"nvidia.com/gpu.family":        family(machine.ComputeMajor, machine.ComputeMinor),
		"nvidia.com/gpu.compute.major": strconv.Itoa(machine.ComputeMajor),
		"nvidia.com/gpu.compute.minor": strconv.Itoa(machine.ComputeMinor),
		"nvidia.com/gpu.mode":          mode(machine.PCIClass),
		"nvidia.com/mig.capable":       strconv.FormatBool(*machine.MIGCapable),
		"nvidia.com/mps.capable":       strconv.FormatBool(config.Sharing.SharingStrategy() == spec.SharingStrategyMPS),
		"nvidia.com/vgpu.present":      "false",
	}
	if strategy := *config.Flags.MigStrategy; strategy != spec.MigStrategyNone {
		labels["nvidia.com/mig.strategy"] = strategy
	}
	addSharing(labels, machine.Product, config)
	return labels, addVersions(labels, machine)
}

func addSharing(labels map[string]string, product string, config *spec.Config) {
	replicas, strategy := 1, spec.SharingStrategyNone
	if shared := sharedGPU(config); shared != nil {
		replicas, strategy = shared.Replicas, config.Sharing.SharingStrategy()
		if shared.Rename == "" {
			product += "-SHARED"
		}
	}
	labels["nvidia.com/gpu.product"] = product
	labels["nvidia.com/gpu.replicas"] = strconv.Itoa(replicas)
	labels["nvidia.com/gpu.sharing-strategy"] = string(strategy)
}

// sharedGPU returns the first entry for whole GPUs, or nil: feature discovery looks no further.
func sharedGPU(config *spec.Config) *spec.ReplicatedResource {
	resources := config.Sharing.ReplicatedResources().Resources
	for i := range resources {
		if resources[i].Name == fullGPU {
			return &resources[i]
		}
	}
	return nil
}

func addVersions(labels map[string]string, machine Machine) error {
	driver := strings.Split(machine.Driver, ".")
	if len(driver) < 2 || len(driver) > 3 {
		return fmt.Errorf("error getting driver version: Version %q does not match format \"X.Y[.Z]\"", machine.Driver)
	}
	revision := ""
	if len(driver) == 3 {
		revision = driver[2]
	}
	major, minor, _ := strings.Cut(machine.CUDA, ".")
	for suffix, value := range map[string]string{
		"driver.major": driver[0], "driver.minor": driver[1], "driver.rev": revision,
		"driver-version.major": driver[0], "driver-version.minor": driver[1], "driver-version.revision": revision,
		"driver-version.full": machine.Driver,
		"runtime.major":       major, "runtime.minor": minor,
		"runtime-version.major": major, "runtime-version.minor": minor,
		"runtime-version.full": machine.CUDA,
	} {
		labels["nvidia.com/cuda."+suffix] = value
	}
	return nil
}

// family names the architecture of a compute capability, as feature discovery does.
func family(major, minor int) string {
	switch {
	case major == 5:
		return "maxwell"
	case major == 6:
		return "pascal"
	case major == 7 && minor < 5:
		return "volta"
	case major == 7:
		return "turing"
	case major == 8 && minor < 9:
		return "ampere"
	case major == 8:
		return "ada-lovelace"
	case major == 9:
		return "hopper"
	case major == 10 || major == 12:
		return "blackwell"
	default:
		return "undefined"
	}
}

func mode(pciClass string) string {
	switch pciClass {
	case "0300":
		return "graphics"
	case "0302":
		return "compute"
	default:
		return "unknown"
	}
}
