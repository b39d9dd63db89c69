package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// tables are Markdown: what was offered and granted, labels, and what is not as promised.
func tables(cards Cards, proofs []Proof) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d × %s, %s each, driver %s. NVIDIA's device plugin and feature discovery v0.19.0.\n\n", cards.Count, cards.Product, cards.Memory, cards.Driver)
	text.WriteString("| profile | promised | offered | request of 1 | request of 2 | product | replicas | strategy | as promised |\n")
	text.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	for _, proof := range proofs {
		promised, _ := proof.Profile.expected(cards)
		offered, one, two := counts(proof.Offered), "-", "-"
		if proof.NotRun != "" {
			offered = "not run"
		}
		for _, name := range slices.Sorted(maps.Keys(proof.Granted)) {
			one, two = proof.Granted[name][0], proof.Granted[name][1]
		}
		verdict := "yes"
		if proof.NotRun != "" {
			verdict = "labels: yes"
		}
		if len(proof.Differences) > 0 {
			verdict = "**no**"
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", proof.Profile.Name, counts(promised), offered, one, two,
			proof.Labels["nvidia.com/gpu.product"], proof.Labels["nvidia.com/gpu.replicas"], proof.Labels["nvidia.com/gpu.sharing-strategy"], verdict)
	}
	for _, proof := range proofs {
		if proof.NotRun != "" {
			fmt.Fprintf(&text, "\n%s: the plugin was not run: %s.\n", proof.Profile.Name, proof.NotRun)
		}
		for _, difference := range proof.Differences {
			fmt.Fprintf(&text, "\n%s: %s\n", proof.Profile.Name, difference)
		}
	}
	return text.String()
}

// costTable is what sharing costs, beside what one process alone gets.
func costTable(costs []Cost) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\nWhat sharing costs: n processes of one small CUDA program, %d s each, default time slice; MPS by the control daemon, no limits.\nTotal launches a second, median time of one.\n\n", costSeconds)
	text.WriteString("| load | n | time-slicing | MPS |\n|---|---|---|---|\n")
	for _, cost := range costs {
		fmt.Fprintf(&text, "| %s | %d | %s | %s |\n", cost.Load, cost.Processes, cost.TimeSlicing, cost.MPS)
	}
	return text.String()
}
