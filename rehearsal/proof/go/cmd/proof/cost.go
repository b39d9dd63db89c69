package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const costSeconds = 6

// Loads of cost.cu: one that fills the card, one that leaves most of it idle but never pauses, one that rests.
var loads = []string{"saturating", "small", "bursty"}
var sharers = []int{1, 2, 4, 6}

// Cost is what so many processes got, each way.
type Cost struct {
	Load             string
	Processes        int
	TimeSlicing, MPS string
}

func findNvcc() (string, bool) {
	for _, name := range []string{"nvcc", "/usr/local/cuda/bin/nvcc"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// measure compiles the load and runs it with and without MPS. It changes no setting of the card.
func measure(ctx context.Context, nvcc, source, work string) ([]Cost, error) {
	program := filepath.Join(work, "cost")
	if said, err := exec.CommandContext(ctx, nvcc, "-O2", "-o", program, source).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("nvcc: %w: %s", err, said)
	}
	var costs []Cost
	for _, load := range loads {
		for _, count := range sharers {
			sliced, err := together(ctx, program, load, count, nil)
			if err != nil {
				return nil, err
			}
			costs = append(costs, Cost{Load: load, Processes: count, TimeSlicing: sliced})
		}
	}
	daemon := []string{"CUDA_MPS_PIPE_DIRECTORY=" + filepath.Join(work, "mps"), "CUDA_MPS_LOG_DIRECTORY=" + filepath.Join(work, "mps-log")}
	stop, err := startMPS(ctx, daemon)
	if err != nil {
		for index := range costs {
			costs[index].MPS = "not to be had"
		}
		return costs, nil
	}
	defer stop()
	for index := range costs {
		if costs[index].MPS, err = together(ctx, program, costs[index].Load, costs[index].Processes, daemon); err != nil {
			return nil, err
		}
	}
	return costs, nil
}

func startMPS(ctx context.Context, environment []string) (func(), error) {
	for _, variable := range environment {
		_, folder, _ := strings.Cut(variable, "=")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	control := func(input string, arguments ...string) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, "nvidia-cuda-mps-control", arguments...)
		command.Env = append(os.Environ(), environment...)
		command.Stdin = strings.NewReader(input)
		return command.Run()
	}
	if err := control("", "-d"); err != nil {
		return nil, err
	}
	return func() { control("quit\n") }, nil
}

// together runs so many of the load at one time: all launches a second, and the mean of their medians.
func together(ctx context.Context, program, load string, count int, environment []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, (costSeconds+60)*time.Second)
	defer cancel()
	// A load waits for its start until all have made their contexts.
	start := time.Now().Add(3 * time.Second).Unix()
	outputs := make([]bytes.Buffer, count)
	errors := make([]error, count)
	var group sync.WaitGroup
	for index := range count {
		group.Add(1)
		go func() {
			defer group.Done()
			command := exec.CommandContext(ctx, program, load, fmt.Sprint(start), fmt.Sprint(costSeconds))
			command.Env = append(os.Environ(), environment...)
			command.Stdout, command.Stderr = &outputs[index], &outputs[index]
			errors[index] = command.Run()
		}()
	}
	group.Wait()
	var total, median float64
	for index := range count {
		var rate, milliseconds float64
		if errors[index] != nil {
			return "", fmt.Errorf("load %s: %w: %s", load, errors[index], outputs[index].String())
		}
		if _, err := fmt.Sscan(outputs[index].String(), &rate, &milliseconds); err != nil {
			return "", fmt.Errorf("load %s said %q", load, outputs[index].String())
		}
		total += rate
		median += milliseconds / float64(count)
	}
	return fmt.Sprintf("%.0f/s · %.2f ms", total, median), nil
}
