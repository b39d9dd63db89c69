package kube

import "time"

// The types below hold the fields the stand-ins read; everything else of an object is left alone, because
// writing goes by patch.

// Meta is an object's metadata.
type Meta struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace,omitempty"`
	UID               string            `json:"uid,omitempty"`
	ResourceVersion   string            `json:"resourceVersion,omitempty"`
	Generation        int64             `json:"generation,omitempty"`
	CreationTimestamp *time.Time        `json:"creationTimestamp,omitempty"`
	DeletionTimestamp *time.Time        `json:"deletionTimestamp,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	OwnerReferences   []Owner           `json:"ownerReferences,omitempty"`
}

// Owner is an owner reference.
type Owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Controller bool   `json:"controller"`
	BlockOwner bool   `json:"blockOwnerDeletion"`
}

// List is the items of any list.
type List[T any] struct {
	Items []T `json:"items"`
}

// Node is a Node's labels and resources.
type Node struct {
	Metadata Meta `json:"metadata"`
	Status   struct {
		Capacity    map[string]string `json:"capacity"`
		Allocatable map[string]string `json:"allocatable"`
		Handlers    []any             `json:"runtimeHandlers"`
	} `json:"status"`
}

// Real says that a kubelet with a container runtime runs this Node. Kubelets list the runtime's handlers in its
// status; where kwok plays the kubelet, nobody does.
func (n Node) Real() bool { return len(n.Status.Handlers) > 0 }

// Pod is what a node or a controller looks at in a Pod.
type Pod struct {
	Metadata Meta `json:"metadata"`
	Spec     struct {
		NodeName        string      `json:"nodeName"`
		SchedulingGates []any       `json:"schedulingGates"`
		InitContainers  []Container `json:"initContainers"`
		Containers      []Container `json:"containers"`
	} `json:"spec"`
	Status PodStatus `json:"status"`
}

// PodStatus is the part of a pod's status that the kubelet writes. Container statuses keep every field they came
// with, because they can only be written as a whole list.
type PodStatus struct {
	Phase                 string           `json:"phase,omitempty"`
	StartTime             string           `json:"startTime,omitempty"`
	Conditions            []Condition      `json:"conditions,omitempty"`
	InitContainerStatuses []map[string]any `json:"initContainerStatuses,omitempty"`
	ContainerStatuses     []map[string]any `json:"containerStatuses,omitempty"`
}

// Running says that the pod's containers were started and the pod is not being deleted.
func (p Pod) Running() bool {
	return p.Status.Phase == "Running" && p.Metadata.DeletionTimestamp == nil
}

// Ready says that the pod is Running and has condition Ready.
func (p Pod) Ready() bool {
	for _, condition := range p.Status.Conditions {
		if condition.Type == "Ready" {
			return p.Running() && condition.Status == "True"
		}
	}
	return false
}

// Container returns the pod's container of that name, among init containers too.
func (p Pod) Container(name string) (Container, bool) {
	for _, list := range [][]Container{p.Spec.InitContainers, p.Spec.Containers} {
		for _, container := range list {
			if container.Name == name {
				return container, true
			}
		}
	}
	return Container{}, false
}

// Container is a container of a pod.
type Container struct {
	Name         string  `json:"name"`
	Image        string  `json:"image"`
	Env          []Env   `json:"env"`
	VolumeMounts []Mount `json:"volumeMounts"`
	Resources    struct {
		Limits map[string]string `json:"limits"`
	} `json:"resources"`
}

// Value returns an environment variable's value; the last one of a name wins, as in a container.
func (c Container) Value(name string) (string, bool) {
	value, found := "", false
	for _, env := range c.Env {
		if env.Name == name {
			value, found = env.Value, true
		}
	}
	return value, found
}

// Mount is where a container sees a volume.
type Mount struct {
	Name string `json:"name"`
	Path string `json:"mountPath"`
}

// Env is an environment variable: a literal value, or where the kubelet takes it from.
type Env struct {
	Name  string         `json:"name"`
	Value string         `json:"value,omitempty"`
	From  map[string]any `json:"valueFrom,omitempty"`
}

// Condition is a condition of a pod or of a custom resource.
type Condition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	Reason             string `json:"reason,omitempty"`
	Message            string `json:"message"`
	LastTransitionTime string `json:"lastTransitionTime,omitempty"`
}

// DaemonSet is a DaemonSet's metadata and how far its rollout is.
type DaemonSet struct {
	Metadata Meta            `json:"metadata"`
	Status   DaemonSetStatus `json:"status"`
}

// DaemonSetStatus counts pods.
type DaemonSetStatus struct {
	ObservedGeneration int64 `json:"observedGeneration"`
	Desired            int   `json:"desiredNumberScheduled"`
	Updated            int   `json:"updatedNumberScheduled"`
	Unavailable        int   `json:"numberUnavailable"`
}

// ConfigMap is a ConfigMap's text entries.
type ConfigMap struct {
	Metadata Meta              `json:"metadata"`
	Data     map[string]string `json:"data"`
}

// Deployment is a Deployment's metadata and pod selector.
type Deployment struct {
	Metadata Meta `json:"metadata"`
	Spec     struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
	} `json:"spec"`
}

// Now is the API's form of the present time.
func Now() string { return time.Now().UTC().Format(time.RFC3339) }
