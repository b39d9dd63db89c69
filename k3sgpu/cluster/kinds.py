"""The kinds of Kubernetes objects that this program reads and writes, each once: lightkube refuses a second.

Plain dictionaries instead of typed models: fields that a newer Kubernetes adds must not break anything.
"""

from lightkube.generic_resource import create_global_resource, create_namespaced_resource

Node = create_global_resource("", "v1", "Node", "nodes")
ClusterPolicy = create_global_resource("nvidia.com", "v1", "ClusterPolicy", "clusterpolicies")

ConfigMap = create_namespaced_resource("", "v1", "ConfigMap", "configmaps")
Event = create_namespaced_resource("", "v1", "Event", "events")
Pod = create_namespaced_resource("", "v1", "Pod", "pods")
ResourceQuota = create_namespaced_resource("", "v1", "ResourceQuota", "resourcequotas")
Secret = create_namespaced_resource("", "v1", "Secret", "secrets")
Service = create_namespaced_resource("", "v1", "Service", "services")

DaemonSet = create_namespaced_resource("apps", "v1", "DaemonSet", "daemonsets")
Deployment = create_namespaced_resource("apps", "v1", "Deployment", "deployments")
ReplicaSet = create_namespaced_resource("apps", "v1", "ReplicaSet", "replicasets")
StatefulSet = create_namespaced_resource("apps", "v1", "StatefulSet", "statefulsets")
CronJob = create_namespaced_resource("batch", "v1", "CronJob", "cronjobs")
Job = create_namespaced_resource("batch", "v1", "Job", "jobs")

HelmChart = create_namespaced_resource("helm.cattle.io", "v1", "HelmChart", "helmcharts")
FluxHelmRelease = create_namespaced_resource("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases")
