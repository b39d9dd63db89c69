package main

import (
	"strings"
	"testing"
)

var sixSlices = Profile{
	Name:      "six",
	Resources: map[string]int{"nvidia.com/gpu": 6},
	Labels:    map[string]string{"nvidia.com/gpu.product": "CARD-SHARED", "nvidia.com/gpu.replicas": "6"},
	Strategy:  "time-slicing",
}

func found(count, product string) map[string]string {
	return map[string]string{"nvidia.com/gpu.product": product, "nvidia.com/gpu.replicas": "6", "nvidia.com/gpu.count": count}
}

func TestWhatWasPromisedIsNoDifference(t *testing.T) {
	proof := Proof{
		Offered: map[string]int{"nvidia.com/gpu": 12},
		Granted: map[string][2]string{"nvidia.com/gpu": {"granted", "granted"}},
		Labels:  found("2", "NVIDIA-H200-SHARED"),
	}
	if differences := compare(sixSlices, Cards{Product: "NVIDIA-H200", Count: 2}, proof); len(differences) > 0 {
		t.Error(differences)
	}
}

func TestEveryDifferenceIsSaid(t *testing.T) {
	strict := sixSlices
	strict.OneOnly = true
	proof := Proof{
		Offered: map[string]int{"nvidia.com/gpu": 4},
		Granted: map[string][2]string{"nvidia.com/gpu": {"no", "granted"}},
		Labels:  found("1", "NVIDIA-H200"),
	}
	said := strings.Join(compare(strict, Cards{Product: "NVIDIA-H200", Count: 1}, proof), "\n")
	for _, expected := range []string{
		"promised nvidia.com/gpu 6, offered nvidia.com/gpu 4",
		`promised "NVIDIA-H200-SHARED", found "NVIDIA-H200"`,
		"a request of 1 was refused: no",
		"a request of 2: granted, against what was promised",
	} {
		if !strings.Contains(said, expected) {
			t.Errorf("%q is missing from\n%s", expected, said)
		}
	}
}

func TestARenamedResourcesOldNameIsNotExpected(t *testing.T) {
	renamed := Profile{Resources: map[string]int{"nvidia.com/gpu": 0, "nvidia.com/gpu.shared": 6}}
	resources, _ := renamed.expected(Cards{Count: 1})
	if counts(resources) != "nvidia.com/gpu.shared 6" {
		t.Error(resources)
	}
}

func TestCardsOfSeveralKindsAreRefused(t *testing.T) {
	cards, err := parseCards("NVIDIA H200, 143771 MiB, 580.1\nNVIDIA H200, 143771 MiB, 580.1\n")
	if err != nil || cards.Product != "NVIDIA-H200" || cards.Count != 2 {
		t.Error(cards, err)
	}
	if _, err := parseCards("NVIDIA H200, 143771 MiB, 580.1\nTesla T4, 15360 MiB, 580.1\n"); err == nil {
		t.Error("two kinds were accepted")
	}
}
