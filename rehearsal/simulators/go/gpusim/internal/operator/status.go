package operator

import (
	"fmt"
	"time"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

// outcome is the result of one pass: what the status will say.
type outcome struct {
	failure  string   // a state could not be applied: reason ReconcileFailed
	notReady []string // states whose DaemonSets have unavailable pods
	features bool     // some node carries a label of node-feature-discovery
	gpus     bool     // some node has a GPU
}

// rollBlindness is how long after its own change of a DaemonSet the controller takes it for ready. The vendor's
// was seen to say ready all through a roll of the plugin.
const rollBlindness = 3 * time.Second

// ready repeats the vendor's check with its blind spots: no pods wanted counts as ready, and so does a DaemonSet
// that is being rolled out. Only a finished rollout with unavailable pods is not ready.
func ready(set kube.DaemonSet, sinceChange time.Duration) bool {
	rolling := set.Metadata.Generation > 1 &&
		(sinceChange < rollBlindness || set.Status.ObservedGeneration < set.Metadata.Generation || set.Status.Updated < set.Status.Desired)
	return rolling || set.Status.Desired == 0 || set.Status.Unavailable == 0
}

// status turns an outcome into a ClusterPolicy's status; a condition that keeps its status keeps its time.
func (o outcome) status(namespace string, old Status, now string) Status {
	state, reason, message := "ready", "", ""
	switch {
	case o.failure != "":
		state, reason, message = "notReady", "ReconcileFailed", o.failure
	case len(o.notReady) > 0:
		state, reason = "notReady", "OperandNotReady"
		message = fmt.Sprintf("ClusterPolicy is not ready, states not ready: %v", o.notReady)
	case !o.features:
		reason, message = "NFDLabelsMissing", "No NFD labels found"
	case !o.gpus:
		reason, message = "NoGPUNodes", "No GPU node found, watching for new nodes to join the cluster."
	default:
		reason, message = "Reconciled", "ClusterPolicy is ready as all resources have been successfully reconciled"
	}
	readyCondition := kube.Condition{Type: "Ready", Status: "True", Reason: reason, Message: message}
	errorCondition := kube.Condition{Type: "Error", Status: "False", Reason: "Ready"}
	if state == "notReady" {
		readyCondition = kube.Condition{Type: "Ready", Status: "False", Reason: "Error"}
		errorCondition = kube.Condition{Type: "Error", Status: "True", Reason: reason, Message: message}
	}
	return Status{State: state, Namespace: namespace, Conditions: []kube.Condition{
		dated(readyCondition, old, now), dated(errorCondition, old, now),
	}}
}

func dated(condition kube.Condition, old Status, now string) kube.Condition {
	condition.LastTransitionTime = now
	for _, before := range old.Conditions {
		if before.Type == condition.Type && before.Status == condition.Status {
			condition.LastTransitionTime = before.LastTransitionTime
		}
	}
	return condition
}
