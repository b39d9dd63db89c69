package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Cards are the machine's, all of one kind. Product is spelled as in the label nvidia.com/gpu.product.
type Cards struct {
	Product string
	Count   int
	Memory  string
	Driver  string
}

// lookAtCards asks nvidia-smi.
func lookAtCards(ctx context.Context) (Cards, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	query := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
	output, err := query.CombinedOutput()
	if err != nil {
		return Cards{}, fmt.Errorf("nvidia-smi: %v %s: a machine with an NVIDIA GPU and its driver is needed", err, strings.TrimSpace(string(output)))
	}
	return parseCards(string(output))
}

func parseCards(output string) (Cards, error) {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	fields := strings.Split(lines[0], ", ")
	if len(fields) != 3 {
		return Cards{}, fmt.Errorf("nvidia-smi: found %q, expected name, memory and driver version", lines[0])
	}
	for _, line := range lines[1:] {
		if line != lines[0] {
			return Cards{}, fmt.Errorf("nvidia-smi: found cards of several kinds (%s; %s), expected one: a pool's machines have one kind each", lines[0], line)
		}
	}
	return Cards{strings.ReplaceAll(fields[0], " ", "-"), len(lines), fields[1], fields[2]}, nil
}
