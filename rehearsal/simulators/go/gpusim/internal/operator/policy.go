// Package operator plays the GPU Operator's controller: it reads the ClusterPolicy and labels nodes, creates and
// rolls DaemonSets and writes the status, with the vendor's weaknesses (v26.7.0).
package operator

import (
	"k3s-gpu-sharing/rehearsal/gpusim/internal/kube"
)

const (
	policies   = "/apis/nvidia.com/v1/clusterpolicies"
	daemonsets = "/daemonsets"
	managedBy  = "gpu-operator"
)

// Policy is a ClusterPolicy, as far as this controller reads it.
type Policy struct {
	Metadata kube.Meta `json:"metadata"`
	Spec     Spec      `json:"spec"`
	Status   Status    `json:"status"`
}

// Status is a ClusterPolicy's status.
type Status struct {
	State      string           `json:"state"`
	Namespace  string           `json:"namespace,omitempty"`
	Conditions []kube.Condition `json:"conditions,omitempty"`
}

// Spec is a ClusterPolicy's spec.
type Spec struct {
	Operator struct {
		RuntimeClass string `json:"runtimeClass"`
	} `json:"operator"`
	Daemonsets struct {
		Labels            map[string]string `json:"labels"`
		Annotations       map[string]string `json:"annotations"`
		PriorityClassName string            `json:"priorityClassName"`
		Tolerations       []any             `json:"tolerations"`
		UpdateStrategy    string            `json:"updateStrategy"`
		RollingUpdate     struct {
			MaxUnavailable string `json:"maxUnavailable"`
		} `json:"rollingUpdate"`
	} `json:"daemonsets"`
	PSA struct {
		Enabled bool `json:"enabled"`
	} `json:"psa"`
	CDI struct {
		Enabled *bool `json:"enabled"`
	} `json:"cdi"`
	MIG struct {
		Strategy string `json:"strategy"`
	} `json:"mig"`
	Validator          Component    `json:"validator"`
	Driver             Component    `json:"driver"`
	Toolkit            Toolkit      `json:"toolkit"`
	DevicePlugin       DevicePlugin `json:"devicePlugin"`
	DCGM               Component    `json:"dcgm"`
	DCGMExporter       Component    `json:"dcgmExporter"`
	GFD                Component    `json:"gfd"`
	MIGManager         MIGManager   `json:"migManager"`
	NodeStatusExporter Component    `json:"nodeStatusExporter"`
}

// Component is what all operands have in common.
type Component struct {
	Enabled          *bool          `json:"enabled"`
	Repository       string         `json:"repository"`
	Image            string         `json:"image"`
	Version          string         `json:"version"`
	ImagePullPolicy  string         `json:"imagePullPolicy"`
	ImagePullSecrets []string       `json:"imagePullSecrets"`
	Args             []string       `json:"args"`
	Env              []kube.Env     `json:"env"`
	Resources        map[string]any `json:"resources"`
	HostNetwork      bool           `json:"hostNetwork"`
}

// Toolkit is the container toolkit's part of the spec.
type Toolkit struct {
	Component
	InstallDir string `json:"installDir"`
}

// DevicePlugin is the device plugin's part of the spec.
type DevicePlugin struct {
	Component
	Config struct {
		Name    string `json:"name"`
		Default string `json:"default"`
	} `json:"config"`
	MPS struct {
		Root string `json:"root"`
	} `json:"mps"`
}

// MIGManager is the MIG manager's part of the spec.
type MIGManager struct {
	Component
	Config struct {
		Default string `json:"default"`
	} `json:"config"`
}

func (s Spec) cdi() bool { return s.CDI.Enabled == nil || *s.CDI.Enabled }

func (c Component) enabled() bool { return c.Enabled == nil || *c.Enabled }

func (c Component) image() string { return c.Repository + "/" + c.Image + ":" + c.Version }

func (p Policy) owner() []kube.Owner {
	return []kube.Owner{{
		APIVersion: "nvidia.com/v1", Kind: "ClusterPolicy", Name: p.Metadata.Name, UID: p.Metadata.UID,
		Controller: true, BlockOwner: true,
	}}
}
