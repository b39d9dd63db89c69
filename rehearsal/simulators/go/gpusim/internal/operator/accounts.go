package operator

import (
	"context"

	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

// rights is what the programs of one ServiceAccount may do. The vendor's Roles have more: for OpenShift, and for
// programs that the rehearsal does not have.
type rights struct {
	cluster   []object // rules of a ClusterRole
	namespace []object // rules of a Role
}

var readNodes = rule("", []string{"nodes"}, "get", "list", "watch")

var rightsOf = map[string]rights{
	"nvidia-device-plugin": {cluster: []object{readNodes}},
	"nvidia-gpu-feature-discovery": {cluster: []object{readNodes}, namespace: []object{
		rule("nfd.k8s-sigs.io", []string{"nodefeatures"}, "get", "list", "watch", "create", "update"),
		rule("", []string{"pods"}, "get"),
	}},
	"nvidia-operator-validator": {cluster: []object{readNodes}},
}

// entryPoints are the scripts by which the vendor starts an operand: when the driver is validated, with the
// environment that says where the driver is.
var entryPoints = map[string]string{
	"nvidia-device-plugin":     "nvidia-device-plugin",
	"nvidia-container-toolkit": "nvidia-toolkit",
}

func entryPoint(program string) string {
	return `#!/bin/sh
until [ -f ` + validations + `/driver-ready ]; do
    echo "waiting for the validation of the driver"
    sleep 5
done
set -a
. ` + validations + `/driver-ready
exec ` + program + "\n"
}

func rule(group string, resources []string, verbs ...string) object {
	return object{"apiGroups": []string{group}, "resources": resources, "verbs": verbs}
}

// makeAccounts makes the ServiceAccount of every operand that is switched on, after all that goes with it.
func (c *Controller) makeAccounts(ctx context.Context, policy Policy, namespace string) error {
	var list kube.List[struct {
		Metadata kube.Meta `json:"metadata"`
	}]
	if err := c.api.Get(ctx, "/api/v1/namespaces/"+namespace+"/serviceaccounts", nil, &list); err != nil {
		return err
	}
	there := map[string]bool{}
	for _, account := range list.Items {
		there[account.Metadata.Name] = true
	}
	for _, operand := range operands {
		if there[operand.account] || !operand.component(policy.Spec).enabled() {
			continue
		}
		for _, made := range accountObjects(operand.account, policy, namespace) {
			if err := ignoreConflict(c.api.Create(ctx, made.collection, made.object)); err != nil {
				return err
			}
		}
		there[operand.account] = true
	}
	return nil
}

// created is an object and the path of its collection.
type created struct {
	collection string
	object     object
}

// accountObjects returns a ServiceAccount, last, and before it its rights and its operand's entry point.
func accountObjects(account string, policy Policy, namespace string) []created {
	const group = "rbac.authorization.k8s.io"
	rbac, core := "/apis/"+group+"/v1", "/api/v1/namespaces/"+namespace
	inside := rbac + "/namespaces/" + namespace
	made := func(collection, version, kind, name string, fields object) created {
		return created{collection, merge(fields, object{
			"apiVersion": version, "kind": kind, "metadata": object{"name": name, "ownerReferences": policy.owner()},
		})}
	}
	grant := func(kind string) object {
		return object{
			"subjects": []object{{"kind": "ServiceAccount", "name": account, "namespace": namespace}},
			"roleRef":  object{"apiGroup": group, "kind": kind, "name": account},
		}
	}
	var all []created
	if rules := rightsOf[account].cluster; rules != nil {
		all = append(all, made(rbac+"/clusterroles", group+"/v1", "ClusterRole", account, object{"rules": rules}),
			made(rbac+"/clusterrolebindings", group+"/v1", "ClusterRoleBinding", account, grant("ClusterRole")))
	}
	if rules := rightsOf[account].namespace; rules != nil {
		all = append(all, made(inside+"/roles", group+"/v1", "Role", account, object{"rules": rules}),
			made(inside+"/rolebindings", group+"/v1", "RoleBinding", account, grant("Role")))
	}
	if program, ok := entryPoints[account]; ok {
		script := object{"data": object{"entrypoint.sh": entryPoint(program)}}
		all = append(all, made(core+"/configmaps", "v1", "ConfigMap", account+"-entrypoint", script))
	}
	return append(all, made(core+"/serviceaccounts", "v1", "ServiceAccount", account, nil))
}
