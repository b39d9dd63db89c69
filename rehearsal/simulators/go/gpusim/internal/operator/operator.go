package operator

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

const chartSelector = "app.kubernetes.io/name=gpu-operator,app.kubernetes.io/component=gpu-operator"

// Controller is the stand-in of the GPU Operator's controller. It works only while the chart's Deployment has a
// pod that is Running and Ready. It runs in that pod where a kubelet runs containers; where kwok plays the kubelet,
// a process on the server does the pod's work.
type Controller struct {
	api    *kube.Client
	log    *log.Logger
	inPod  bool
	acting string               // namespace it acts in; "" while it does not
	rolled map[string]time.Time // DaemonSet to when this controller changed it last
}

// Run works until ctx ends; inPod says that this is the program of the chart's Deployment.
func Run(ctx context.Context, api *kube.Client, logger *log.Logger, inPod bool) {
	managed := url.Values{"labelSelector": {"app.kubernetes.io/managed-by=" + managedBy}}
	bell := api.NewBell(ctx,
		kube.Collection{Path: policies},
		kube.Collection{Path: "/api/v1/nodes"},
		kube.Collection{Path: "/apis/apps/v1" + daemonsets, Query: managed},
		kube.Collection{Path: "/apis/apps/v1/deployments", Query: url.Values{"labelSelector": {chartSelector}}},
		kube.Collection{Path: "/api/v1/pods", Query: url.Values{"labelSelector": {crdWork}}},
	)
	controller := &Controller{api: api, log: logger, inPod: inPod, rolled: map[string]time.Time{}}
	kube.Run(ctx, bell, logger, controller.step)
}

func (c *Controller) step(ctx context.Context) (time.Duration, error) {
	if !c.inPod {
		if err := c.manageCRDs(ctx); err != nil {
			return 0, err
		}
	}
	var list kube.List[Policy]
	err := c.api.Get(ctx, policies, nil, &list)
	if err != nil && !kube.IsNotFound(err) {
		return 0, err
	}
	namespace := ""
	if len(list.Items) > 0 {
		if namespace, err = c.home(ctx); err != nil {
			return 0, err
		}
	}
	c.announce(namespace)
	if namespace == "" {
		return 0, nil
	}
	slices.SortFunc(list.Items, olderFirst)
	for _, other := range list.Items[1:] {
		if err := c.write(ctx, other, Status{State: "ignored", Namespace: namespace}); err != nil {
			return 0, err
		}
	}
	return rollBlindness, c.reconcile(ctx, list.Items[0], namespace)
}

func olderFirst(a, b Policy) int {
	return a.Metadata.CreationTimestamp.Compare(*b.Metadata.CreationTimestamp)
}

// home returns the namespace of the chart's Deployment if one of its pods is Running and Ready, and this controller
// is what works for that pod; else "".
func (c *Controller) home(ctx context.Context) (string, error) {
	var deployments kube.List[kube.Deployment]
	query := url.Values{"labelSelector": {chartSelector}}
	if err := c.api.Get(ctx, "/apis/apps/v1/deployments", query, &deployments); err != nil {
		return "", err
	}
	for _, deployment := range deployments.Items {
		var pods kube.List[kube.Pod]
		query := url.Values{"labelSelector": {selector(deployment.Spec.Selector.MatchLabels)}}
		namespace := deployment.Metadata.Namespace
		if err := c.api.Get(ctx, "/api/v1/namespaces/"+namespace+"/pods", query, &pods); err != nil {
			return "", err
		}
		i := slices.IndexFunc(pods.Items, kube.Pod.Ready)
		if i < 0 {
			continue
		}
		var node kube.Node
		if err := c.api.Get(ctx, "/api/v1/nodes/"+pods.Items[i].Spec.NodeName, nil, &node); err != nil {
			return "", err
		}
		if node.Real() == c.inPod {
			return namespace, nil
		}
	}
	return "", nil
}

func selector(labels map[string]string) string {
	var terms []string
	for key, value := range labels {
		terms = append(terms, key+"="+value)
	}
	slices.Sort(terms)
	return strings.Join(terms, ",")
}

func (c *Controller) announce(namespace string) {
	if namespace == c.acting {
		return
	}
	c.acting = namespace
	if namespace == "" {
		c.log.Print("operator: no ClusterPolicy, or no ready gpu-operator pod to work for: idle")
		return
	}
	c.log.Printf("operator: the gpu-operator pod in namespace %s is ready: reconciling", namespace)
}

func (c *Controller) reconcile(ctx context.Context, policy Policy, namespace string) error {
	var nodes kube.List[kube.Node]
	if err := c.api.Get(ctx, "/api/v1/nodes", nil, &nodes); err != nil {
		return err
	}
	result := outcome{
		features: slices.ContainsFunc(nodes.Items, hasFeatureLabels),
		gpus:     slices.ContainsFunc(nodes.Items, hasGPU),
	}
	if err := c.labelNodes(ctx, nodes.Items, policy.Spec); err != nil {
		return err
	}
	if err := c.prepare(ctx, policy, namespace); err != nil {
		return err
	}
	if err := c.makeAccounts(ctx, policy, namespace); err != nil {
		return err
	}
	if err := c.applyOperands(ctx, policy, namespace, &result); err != nil {
		return err
	}
	return c.write(ctx, policy, result.status(namespace, policy.Status, kube.Now()))
}

func (c *Controller) labelNodes(ctx context.Context, nodes []kube.Node, spec Spec) error {
	for _, node := range nodes {
		changes := nodeLabels(node, spec)
		if len(changes) == 0 {
			continue
		}
		patch := object{"metadata": object{"labels": changes}}
		if err := c.api.Merge(ctx, "/api/v1/nodes/"+node.Metadata.Name, patch); err != nil && !kube.IsNotFound(err) {
			return err
		}
		c.log.Printf("operator: node %s: %d labels changed", node.Metadata.Name, len(changes))
	}
	return nil
}

// prepare makes the RuntimeClasses, and the namespace's Pod Security labels if the policy asks for them.
func (c *Controller) prepare(ctx context.Context, policy Policy, namespace string) error {
	if policy.Spec.PSA.Enabled {
		labels := object{}
		for _, mode := range []string{"enforce", "audit", "warn"} {
			labels["pod-security.kubernetes.io/"+mode] = "privileged"
		}
		patch := object{"metadata": object{"labels": labels}}
		if err := c.api.Merge(ctx, "/api/v1/namespaces/"+namespace, patch); err != nil {
			return err
		}
	}
	names := []string{policy.Spec.Operator.RuntimeClass}
	if policy.Spec.cdi() {
		names = append(names, "nvidia-cdi", "nvidia-legacy")
	}
	for _, name := range names {
		if err := c.ownRuntimeClass(ctx, policy, name); err != nil {
			return err
		}
	}
	return nil
}

// ownRuntimeClass takes over a class that is already there (k3s ships one), so it goes with the ClusterPolicy.
func (c *Controller) ownRuntimeClass(ctx context.Context, policy Policy, name string) error {
	const path = "/apis/node.k8s.io/v1/runtimeclasses"
	var class struct {
		Metadata kube.Meta `json:"metadata"`
	}
	err := c.api.Get(ctx, path+"/"+name, nil, &class)
	if kube.IsNotFound(err) {
		return ignoreConflict(c.api.Create(ctx, path, object{
			"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": name,
			"metadata": object{"name": name, "ownerReferences": policy.owner()},
		}))
	}
	if err != nil || slices.ContainsFunc(class.Metadata.OwnerReferences, func(o kube.Owner) bool { return o.UID == policy.Metadata.UID }) {
		return err
	}
	return c.api.Merge(ctx, path+"/"+name, object{"metadata": object{"ownerReferences": policy.owner()}})
}

// applyOperands brings every DaemonSet to what the policy wants. As the vendor's, it creates none before there is
// a GPU node, and an error of one state ends the pass and becomes the status.
func (c *Controller) applyOperands(ctx context.Context, policy Policy, namespace string, result *outcome) error {
	path := "/apis/apps/v1/namespaces/" + namespace + daemonsets
	var sets kube.List[kube.DaemonSet]
	if err := c.api.Get(ctx, path, url.Values{"labelSelector": {"app.kubernetes.io/managed-by=" + managedBy}}, &sets); err != nil {
		return err
	}
	for _, operand := range operands {
		i := slices.IndexFunc(sets.Items, func(set kube.DaemonSet) bool { return set.Metadata.Name == operand.name })
		err := error(nil)
		switch enabled := operand.component(policy.Spec).enabled(); {
		case !enabled && i >= 0:
			err = c.api.Delete(ctx, path+"/"+operand.name)
			c.log.Printf("operator: DaemonSet %s is disabled: deleted", operand.name)
		case enabled && i < 0 && result.gpus:
			err = c.create(ctx, path, operand, policy, namespace)
		case enabled && i >= 0:
			err = c.update(ctx, path, operand.daemonSet(policy, namespace), sets.Items[i])
			if !ready(sets.Items[i], time.Since(c.rolled[operand.name])) {
				result.notReady = append(result.notReady, operand.state)
			}
		}
		if refused := (*kube.StatusError)(nil); errors.As(err, &refused) && refused.Code < 500 {
			result.failure = fmt.Sprintf("Failed to reconcile %s: %s", operand.state, refused.Message)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) create(ctx context.Context, path string, operand operand, policy Policy, namespace string) error {
	if err := c.api.Create(ctx, path, operand.daemonSet(policy, namespace)); err != nil {
		return ignoreConflict(err)
	}
	c.log.Printf("operator: DaemonSet %s created", operand.name)
	return nil
}

// update replaces a DaemonSet whose hash differs; what else somebody changed on it (a restart) stays.
func (c *Controller) update(ctx context.Context, path string, wanted object, have kube.DaemonSet) error {
	metadata := wanted["metadata"].(object)
	if metadata["annotations"].(object)[hashAnnotation] == have.Metadata.Annotations[hashAnnotation] {
		return nil
	}
	metadata["resourceVersion"] = have.Metadata.ResourceVersion
	if err := c.api.Replace(ctx, path+"/"+have.Metadata.Name, wanted); err != nil {
		return ignoreConflict(err)
	}
	c.rolled[have.Metadata.Name] = time.Now()
	c.log.Printf("operator: DaemonSet %s differs from the ClusterPolicy: updated, its pods roll", have.Metadata.Name)
	return nil
}

// ignoreConflict drops "already exists" and "has been modified": the cache was old, the next pass sees the new state.
func ignoreConflict(err error) error {
	if kube.IsConflict(err) {
		return nil
	}
	return err
}

func (c *Controller) write(ctx context.Context, policy Policy, status Status) error {
	if reflect.DeepEqual(policy.Status, status) {
		return nil
	}
	if err := c.api.Merge(ctx, policies+"/"+policy.Metadata.Name+"/status", object{"status": status}); err != nil {
		return err
	}
	last := ""
	if n := len(status.Conditions); n > 0 {
		last = status.Conditions[0].Reason + " " + status.Conditions[n-1].Message
	}
	c.log.Printf("operator: ClusterPolicy %s is %s: %s", policy.Metadata.Name, status.State, last)
	return nil
}
