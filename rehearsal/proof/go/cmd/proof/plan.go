package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Card stands in a promised label for the product that only the real card knows.
const Card = "CARD"

// Plan is what capacity promises for one card of this machine, profile by profile.
type Plan struct {
	Profiles []Profile `json:"profiles"`
}

// Profile is one sharing file and its promise for a single card.
type Profile struct {
	Name      string            `json:"name"`
	Config    string            `json:"config"`
	Resources map[string]int    `json:"resources"` // devices of each resource that one card gives
	Labels    map[string]string `json:"labels"`
	Strategy  string            `json:"strategy"` // none, time-slicing, mps
	OneOnly   bool              `json:"oneOnly"`  // requests for more than one shared device are refused
}

// Proof is what became of one profile.
type Proof struct {
	Profile     Profile
	Offered     map[string]int
	Granted     map[string][2]string // by resource: what a request of one and of two got
	Labels      map[string]string
	NotRun      string // why the plugin was not started; empty when it was
	Differences []string
}

// expected is the promise for so many cards of this product.
func (p Profile) expected(cards Cards) (map[string]int, map[string]string) {
	resources := map[string]int{}
	for name, count := range p.Resources {
		if count > 0 { // a renamed resource's old name is offered by nobody
			resources[name] = count * cards.Count
		}
	}
	labels := map[string]string{}
	for name, value := range p.Labels {
		labels[name] = strings.ReplaceAll(value, Card, cards.Product)
	}
	labels["nvidia.com/gpu.count"] = fmt.Sprint(cards.Count)
	return resources, labels
}

// compare says in words where the proof is not as promised.
func compare(profile Profile, cards Cards, proof Proof) []string {
	var differences []string
	resources, labels := profile.expected(cards)
	if proof.NotRun == "" && !maps.Equal(resources, proof.Offered) {
		differences = append(differences, fmt.Sprintf("devices: promised %s, offered %s", counts(resources), counts(proof.Offered)))
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if found := proof.Labels[name]; found != labels[name] {
			differences = append(differences, fmt.Sprintf("label %s: promised %q, found %q", name, labels[name], found))
		}
	}
	for name, granted := range proof.Granted {
		shared := profile.Strategy != "none"
		if granted[0] != "granted" {
			differences = append(differences, fmt.Sprintf("%s: a request of 1 was refused: %s", name, granted[0]))
		}
		if two := granted[1]; shared && two != "-" && (two == "granted") == profile.OneOnly {
			differences = append(differences, fmt.Sprintf("%s: a request of 2: %s, against what was promised", name, two))
		}
	}
	return differences
}

func counts(resources map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(resources)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, resources[name]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
