// Command proof puts what capacity promised of a stack file's profiles before NVIDIA's own device plugin and
// feature discovery on the cards of this machine. It plays the kubelet, and needs no cluster.
//
// Exit status: 0 as promised, 1 something differs, 2 it could not look.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "prove: %v\n", err)
		os.Exit(2)
	}
	os.Exit(status)
}

func run(args []string) (int, error) {
	flags := flag.NewFlagSet("proof", flag.ContinueOnError)
	folder := flags.String("folder", ".", "the folder with plan.json, NVIDIA's programs and cost.cu")
	output := flags.String("output", "", "a file for the tables as Markdown")
	if err := flags.Parse(args); err != nil {
		return 2, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	plan, err := readPlan(filepath.Join(*folder, "plan.json"))
	if err != nil {
		return 2, err
	}
	cards, err := lookAtCards(ctx)
	if err != nil {
		return 2, err
	}
	work, err := os.MkdirTemp("", "k3s-gpu-sharing-proof-")
	if err != nil {
		return 2, err
	}
	defer os.RemoveAll(work)
	var seen []Proof
	for _, profile := range plan.Profiles {
		fmt.Fprintf(os.Stderr, "profile %s ...\n", profile.Name)
		seen = append(seen, prove(ctx, profile, cards, *folder, work))
	}
	text := tables(cards, seen)
	if nvcc, found := findNvcc(); found {
		fmt.Fprintln(os.Stderr, "what sharing costs on this card, some three minutes ...")
		costs, err := measure(ctx, nvcc, filepath.Join(*folder, "cost.cu"), work)
		if err != nil {
			return 2, err
		}
		text += costTable(costs)
	} else {
		text += "\nWhat sharing costs was not measured: there is no nvcc on this machine.\n"
	}
	fmt.Print(text)
	if *output != "" {
		if err := os.WriteFile(*output, []byte(text), 0o644); err != nil {
			return 2, err
		}
	}
	for _, proof := range seen {
		if len(proof.Differences) > 0 {
			return 1, nil
		}
	}
	return 0, nil
}

func readPlan(path string) (Plan, error) {
	var plan Plan
	data, err := os.ReadFile(path)
	if err != nil {
		return plan, err
	}
	if err := json.Unmarshal(data, &plan); err != nil {
		return plan, fmt.Errorf("%s: %w", path, err)
	}
	return plan, nil
}
