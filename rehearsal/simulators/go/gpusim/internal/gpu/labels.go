package gpu

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	spec "github.com/NVIDIA/k8s-device-plugin/api/config/v1"
)

// Labels returns what gpu-feature-discovery v0.19 writes for this machine, but for gfd.timestamp. Recorded
// from the real program on a real H200 in testdata, and compared with it on simulated cards.
func Labels(machine Machine, config *spec.Config) (map[string]string, error) {
	if machine.Count == 0 {
		return map[string]string{"nvidia.com/vgpu.present": "false"}, nil
	}
	strategy := *config.Flags.MigStrategy
	mps := config.Sharing.SharingStrategy() == spec.SharingStrategyMPS
	if mps && len(machine.MIG) > 0 {
		return nil, errors.New("failed to check MPS-capable: MPS sharing is not supported for mig devices")
	}
	labels := map[string]string{
		"nvidia.com/gpu.machine":       machine.MachineType,
		"nvidia.com/gpu.memory":        strconv.Itoa(machine.MemoryMiB),
		"nvidia.com/gpu.family":        family(machine.ComputeMajor, machine.ComputeMinor),
		"nvidia.com/gpu.compute.major": strconv.Itoa(machine.ComputeMajor),
		"nvidia.com/gpu.compute.minor": strconv.Itoa(machine.ComputeMinor),
		"nvidia.com/gpu.mode":          mode(machine.PCIClass),
		"nvidia.com/mig.capable":       strconv.FormatBool(*machine.MIGCapable),
		"nvidia.com/mps.capable":       strconv.FormatBool(mps),
		"nvidia.com/vgpu.present":      "false",
	}
	if strategy != spec.MigStrategyNone {
		labels["nvidia.com/mig.strategy"] = strategy
	}
	addResource(labels, fullGPU, machine.Product, machine.Count, config)
	if len(machine.MIG) > 0 {
		labels["nvidia.com/gpu.replicas"] = "0" // not shared, whatever the file says of whole cards
		labels["nvidia.com/gpu.sharing-strategy"] = string(spec.SharingStrategyNone)
		labels["nvidia.com/gpu.product"] = machine.Product
	}
	if len(machine.MIG) > 0 && strategy != spec.MigStrategyNone {
		if err := addPartitions(labels, machine, config); err != nil {
			return nil, err
		}
	}
	return labels, addVersions(labels, machine)
}

// addPartitions says what the partitions are called, how many there are, and what each has.
func addPartitions(labels map[string]string, machine Machine, config *spec.Config) error {
	if *config.Flags.MigStrategy == spec.MigStrategySingle && len(machine.MIG) > 1 {
		invalid := map[string]string{"product": machine.Product + "-MIG-INVALID", "count": "0", "replicas": "0",
			"sharing-strategy": "", "memory": "0"}
		for suffix, value := range invalid {
			labels["nvidia.com/gpu."+suffix] = value
		}
		return nil
	}
	for profile, number := range machine.MIG {
		var slices, memory int
		if _, err := fmt.Sscanf(profile, "%dg.%dgb", &slices, &memory); err != nil {
			return fmt.Errorf("mig profile %q: %w", profile, err)
		}
		name := migResource(profile)
		product := machine.Product + "-MIG-" + strings.TrimPrefix(string(name), "nvidia.com/mig-")
		if *config.Flags.MigStrategy == spec.MigStrategySingle {
			name = fullGPU
		}
		addResource(labels, name, product, machine.Count*number, config)
		labels[string(name)+".memory"] = strconv.Itoa(memory * 1024 * 95 / 100) // 4864 for 1g.5gb
		labels[string(name)+".slices.gi"] = strconv.Itoa(slices)
		labels[string(name)+".slices.ci"] = strconv.Itoa(slices)
		for suffix, value := range parts(machine.ComputeMajor, slices, strings.HasSuffix(profile, "+me")) {
			labels[string(name)+"."+suffix] = strconv.Itoa(value)
		}
	}
	return nil
}

// parts are a partition's processors and engines, as NVIDIA's MIG user guide lists them for A100 and H100; an H200
// is cut like an H100. Of other architectures nothing is known.
func parts(computeMajor, slices int, media bool) map[string]int {
	whole := 0
	if slices == 7 {
		whole = 1
	}
	found := map[string]int{"engines.copy": slices, "engines.encoder": 0, "engines.jpeg": whole, "engines.ofa": whole}
	switch computeMajor {
	case 8:
		found["multiprocessors"] = 14 * slices
		found["engines.decoder"] = map[int]int{2: 1, 3: 2, 4: 2, 7: 5}[slices]
		if media {
			found["engines.decoder"], found["engines.jpeg"], found["engines.ofa"] = 1, 1, 1
		}
	case 9:
		found["multiprocessors"] = map[int]int{1: 16, 2: 32, 3: 60, 4: 64, 7: 132}[slices]
		found["engines.copy"] += whole
		found["engines.decoder"], found["engines.jpeg"] = slices, slices
		if media {
			found["engines.ofa"] = 1
		}
	default:
		return nil
	}
	return found
}

func addResource(labels map[string]string, name spec.ResourceName, product string, count int, config *spec.Config) {
	replicas, strategy := 1, spec.SharingStrategyNone
	if shared := sharedAs(name, config); shared != nil {
		replicas, strategy = shared.Replicas, config.Sharing.SharingStrategy()
		if shared.Rename == "" {
			product += "-SHARED"
		}
	}
	labels[string(name)+".product"] = product
	labels[string(name)+".count"] = strconv.Itoa(count)
	labels[string(name)+".replicas"] = strconv.Itoa(replicas)
	labels[string(name)+".sharing-strategy"] = string(strategy)
}

// sharedAs returns the first entry for a resource, or nil: feature discovery looks no further.
func sharedAs(name spec.ResourceName, config *spec.Config) *spec.ReplicatedResource {
	resources := config.Sharing.ReplicatedResources().Resources
	for i := range resources {
		if resources[i].Name == name {
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
