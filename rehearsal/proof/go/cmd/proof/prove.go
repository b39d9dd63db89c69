package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// prove runs NVIDIA's programs with one profile.
func prove(ctx context.Context, profile Profile, cards Cards, folder, work string) Proof {
	proof := Proof{Profile: profile, Offered: map[string]int{}, Granted: map[string][2]string{}}
	config := filepath.Join(work, "config.yaml")
	if err := os.WriteFile(config, []byte(profile.Config), 0o600); err != nil {
		proof.Differences = []string{err.Error()}
		return proof
	}
	labels, err := discover(ctx, folder, work, config)
	if err != nil {
		proof.Differences = append(proof.Differences, "feature discovery: "+err.Error())
	}
	proof.Labels = labels
	if profile.Strategy == "mps" {
		proof.NotRun = "NVIDIA's MPS daemon puts the card into exclusive mode, which a proof does not touch"
	} else if err := devices(ctx, folder, work, config, &proof); err != nil {
		proof.Differences = append(proof.Differences, "device plugin: "+err.Error())
	}
	proof.Differences = append(proof.Differences, compare(profile, cards, proof)...)
	return proof
}

// discover runs gpu-feature-discovery once: the labels it would give the node.
func discover(ctx context.Context, folder, work, config string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	output := filepath.Join(work, "labels")
	os.Remove(output)
	command := exec.CommandContext(ctx, filepath.Join(folder, "gpu-feature-discovery"),
		"--oneshot", "--no-timestamp", "--use-node-feature-api=false", "--config-file="+config, "--output-file="+output)
	said, err := command.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, lastLine(string(said)))
	}
	data, err := os.ReadFile(output)
	if err != nil {
		return nil, err
	}
	return parseLabels(string(data)), nil
}

func parseLabels(text string) map[string]string {
	labels := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		if name, value, found := strings.Cut(line, "="); found {
			labels[name] = value
		}
	}
	return labels
}

// devices runs the device plugin against a kubelet of our own: what it offers, and what it grants.
func devices(ctx context.Context, folder, work, config string, proof *Proof) error {
	kubelet, err := startKubelet()
	if err != nil {
		return err
	}
	defer kubelet.stop()
	log, err := os.Create(filepath.Join(work, "plugin.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	plugin := exec.CommandContext(ctx, filepath.Join(folder, "nvidia-device-plugin"), "--config-file="+config)
	plugin.Stdout, plugin.Stderr = log, log
	plugin.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := plugin.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { plugin.Wait(); close(ended) }()
	defer func() { plugin.Process.Signal(syscall.SIGTERM); <-ended }()
	endpoints, err := kubelet.registered(ctx, ended)
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w: %s", err, lastLine(string(said)))
	}
	for name, endpoint := range endpoints {
		count, granted, err := ask(ctx, endpoint)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		proof.Offered[name], proof.Granted[name] = count, granted
	}
	return nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
