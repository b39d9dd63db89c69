package main

import (
	"context"
	"net/http"
	"time"
)

const (
	nodesPath  = "/api/v1/nodes/"
	leasesPath = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
	// As the kubelet has it: a lease of 40 s that it renews after a quarter of that.
	leaseSeconds  = 40
	renewInterval = leaseSeconds * time.Second / 4
	retryInterval = 2 * time.Second
)

// renewLease keeps the lease of a node, by which the controller manager sees that it lives. kwok could do it, but then
// plays a pod only if it sees the lease that it has just taken before it lists the pods: on a busy computer a pod that
// was there when kwok began stays Pending for ever.
func renewLease(ctx context.Context, own *kubeAPI, name string) {
	for ctx.Err() == nil {
		next := renewInterval
		if err := renewOnce(ctx, own, name); err != nil && ctx.Err() == nil {
			logError("Failed to update lease of node %s: %v", name, err)
			next = retryInterval
		}
		_ = pause(ctx, next)
	}
}

// renewOnce renews the lease, or takes a new one that is removed with the Node. Without a Node there is none.
func renewOnce(ctx context.Context, own *kubeAPI, name string) error {
	spec := map[string]any{
		"holderIdentity": name, "leaseDurationSeconds": leaseSeconds,
		"renewTime": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"),
	}
	err := own.do(ctx, http.MethodPatch, leasesPath+"/"+name, asMerge, map[string]any{"spec": spec}, nil)
	if !hasStatus(err, http.StatusNotFound) {
		return err
	}
	var node struct{ Metadata struct{ UID string } }
	if err := own.get(ctx, nodesPath+name, &node); err != nil {
		if hasStatus(err, http.StatusNotFound) {
			return nil
		}
		return err
	}
	owner := map[string]any{"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.Metadata.UID}
	return own.do(ctx, http.MethodPost, leasesPath, asJSON, map[string]any{
		"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
		"metadata": map[string]any{"name": name, "ownerReferences": []any{owner}}, "spec": spec,
	}, nil)
}
