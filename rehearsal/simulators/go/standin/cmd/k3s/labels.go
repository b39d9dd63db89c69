package main

import (
	"fmt"
	"slices"
	"strings"
)

// The labels of Kubernetes' own namespaces that a node may give itself.
var (
	kubeletNamespaces = []string{"kubelet.kubernetes.io", "node.kubernetes.io"}
	kubeletLabels     = []string{
		"beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type", "beta.kubernetes.io/os",
		"failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone", "kubernetes.io/arch",
		"kubernetes.io/hostname", "kubernetes.io/os", "node.kubernetes.io/instance-type", "topology.kubernetes.io/region",
		"topology.kubernetes.io/zone",
	}
	taintEffects = []string{"NoSchedule", "PreferNoSchedule", "NoExecute"}
)

func within(namespace string, domains ...string) bool {
	return slices.ContainsFunc(domains, func(domain string) bool {
		return namespace == domain || strings.HasSuffix(namespace, "."+domain)
	})
}

// checkLabels refuses what a kubelet refuses at its start: labels that only others may give a node.
func checkLabels(keys []string) error {
	var refused []string
	for _, key := range keys {
		namespace, _, found := strings.Cut(key, "/")
		reserved := found && within(namespace, "kubernetes.io", "k8s.io")
		if reserved && !within(namespace, kubeletNamespaces...) && !slices.Contains(kubeletLabels, key) {
			refused = append(refused, key)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	slices.Sort(refused)
	return fmt.Errorf("failed to validate kubelet flags: unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: %v\n"+
		"--node-labels in the 'kubernetes.io' namespace must begin with an allowed prefix (%s) or be in the specifically allowed set (%s)",
		refused, strings.Join(kubeletNamespaces, ", "), strings.Join(kubeletLabels, ", "))
}
