package operator

import (
	"context"
	"encoding/json"
	"net/url"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

const (
	crds    = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	crdWork = "k3s-gpu-sharing/crds" // label of the hooks' pods: upgrade or cleanup
)

// manageCRDs does the work of the chart's hooks, and then lets their pods go.
func (c *Controller) manageCRDs(ctx context.Context) error {
	var pods kube.List[kube.Pod]
	if err := c.api.Get(ctx, "/api/v1/pods", url.Values{"labelSelector": {crdWork}}, &pods); err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if len(pod.Spec.SchedulingGates) == 0 || pod.Metadata.DeletionTimestamp != nil {
			continue
		}
		work := pod.Metadata.Labels[crdWork]
		namespace := "/api/v1/namespaces/" + pod.Metadata.Namespace
		var files kube.ConfigMap
		if err := c.api.Get(ctx, namespace+"/configmaps/gpu-operator-"+work+"-crd", nil, &files); err != nil {
			return err
		}
		for file, text := range files.Data {
			if err := c.manageCRD(ctx, work, text); err != nil {
				return err
			}
			c.log.Printf("operator: %s of the CRDs in %s", work, file)
		}
		open := object{"spec": object{"schedulingGates": nil}}
		if err := c.api.Merge(ctx, namespace+"/pods/"+pod.Metadata.Name, open); err != nil && !kube.IsNotFound(err) {
			return err
		}
	}
	return nil
}

func (c *Controller) manageCRD(ctx context.Context, work, text string) error {
	var wanted struct {
		Metadata kube.Meta      `json:"metadata"`
		Spec     map[string]any `json:"spec"`
	}
	if err := json.Unmarshal([]byte(text), &wanted); err != nil {
		return err
	}
	path := crds + "/" + wanted.Metadata.Name
	if work == "cleanup" {
		if err := c.api.Delete(ctx, path); err != nil && !kube.IsNotFound(err) {
			return err
		}
		return nil
	}
	err := c.api.Merge(ctx, path, object{"spec": object{"versions": wanted.Spec["versions"]}})
	if kube.IsNotFound(err) { // a release before had fewer of them
		return ignoreConflict(c.api.Create(ctx, crds, json.RawMessage(text)))
	}
	return err
}
