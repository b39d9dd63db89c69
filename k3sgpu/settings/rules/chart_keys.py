"""The keys of the GPU Operator chart's values. Helm silently ignores any other key.

Source: values.yaml, templates/ and crds/ of deployments/gpu-operator in github.com/NVIDIA/gpu-operator, tags
v26.3.3 and v26.7.0.
"""

KEYS: dict[str, frozenset[str] | None] = {
    "ccManager": frozenset(
        """
        args defaultMode enabled env hostNetwork image imagePullPolicy imagePullSecrets repository
        resources version
        """.split()
    ),
    "cdi": frozenset("default enabled nriPluginEnabled".split()),
    "clusterPolicy": frozenset({"deployCR"}),
    "daemonsets": frozenset(
        """
        annotations labels podSecurityContext priorityClassName rollingUpdate tolerations updateStrategy
        """.split()
    ),
    "dcgm": frozenset(
        """
        args enabled env hostNetwork hostPort image imagePullPolicy imagePullSecrets repository
        resources version
        """.split()
    ),
    "dcgmExporter": frozenset(
        """
        annotations args config enabled enablePodLabels enablePodUID env hostNetwork hostPID
        hpcJobMapping image imagePullPolicy imagePullSecrets podLabelAllowlistRegex repository resources
        service serviceMonitor version
        """.split()
    ),
    "devicePlugin": frozenset(
        """
        args config enabled env hostNetwork image imagePullPolicy imagePullSecrets mps repository
        resources version
        """.split()
    ),
    "driver": frozenset(
        """
        args certConfig enabled env hostNetwork image imagePullPolicy imagePullSecrets
        kernelModuleConfig kernelModuleType licensingConfig livenessProbe manager nvidiaDriverCRD rdma
        readinessProbe repoConfig repository resources secretEnv startupProbe upgradePolicy
        useNvidiaDriverCRD useOpenKernelModules usePrecompiled version virtualTopology
        """.split()
    ),
    "draDriver": frozenset(
        """
        computeDomains featureGates gpus image imagePullPolicy imagePullSecrets repository version
        """.split()
    ),
    "extraObjects": None,
    "gdrcopy": frozenset(
        """
        args enabled env image imagePullPolicy imagePullSecrets repository version
        """.split()
    ),
    "gds": frozenset("args enabled env image imagePullPolicy imagePullSecrets repository version".split()),
    "gfd": frozenset(
        """
        args enabled env hostNetwork image imagePullPolicy imagePullSecrets repository resources version
        """.split()
    ),
    "gpuCluster": frozenset({"deployCR"}),
    "hostPaths": frozenset("driverInstallDir kubeletRootDir rootFS".split()),
    "kataManager": frozenset(
        """
        args config enabled env hostNetwork image imagePullPolicy imagePullSecrets repository resources
        version
        """.split()
    ),
    "kataSandboxDevicePlugin": frozenset(
        """
        args enabled env hostNetwork image imagePullPolicy imagePullSecrets repository resources version
        """.split()
    ),
    "mig": frozenset("strategy".split()),
    "migManager": frozenset(
        """
        args config enabled env gpuClientsConfig hostNetwork image imagePullPolicy imagePullSecrets
        repository resources version
        """.split()
    ),
    "nfd": frozenset("enabled nodefeaturerules".split()),
    "node-feature-discovery": None,
    "nodeStatusExporter": frozenset(
        """
        args enabled env hostNetwork image imagePullPolicy imagePullSecrets repository resources version
        """.split()
    ),
    "operator": frozenset(
        """
        affinity annotations cleanupCRD defaultGPUMode defaultRuntime env image imagePullPolicy
        imagePullSecrets initContainer labels logging metrics nodeSelector priorityClassName repository
        resources runtimeClass tolerations upgradeCRD use_ocp_driver_toolkit version
        """.split()
    ),
    "platform": frozenset("openshift".split()),
    "psa": frozenset("enabled".split()),
    "sandboxDevicePlugin": frozenset(
        """
        args enabled env hostNetwork image imagePullPolicy imagePullSecrets repository resources version
        """.split()
    ),
    "sandboxWorkloads": frozenset("defaultWorkload enabled mode".split()),
    "toolkit": frozenset(
        """
        args enabled env hostNetwork image imagePullPolicy imagePullSecrets installDir repository
        resources version
        """.split()
    ),
    "validator": frozenset(
        """
        args cuda driver env hostNetwork image imagePullPolicy imagePullSecrets plugin repository
        resources toolkit version vfioPCI vgpuDevices vgpuManager
        """.split()
    ),
    "vfioManager": frozenset(
        """
        args driverManager enabled env hostNetwork image imagePullPolicy imagePullSecrets repository
        resources version
        """.split()
    ),
    "vgpuDeviceManager": frozenset(
        """
        args config enabled env hostNetwork image imagePullPolicy imagePullSecrets repository resources
        version
        """.split()
    ),
    "vgpuManager": frozenset(
        """
        args driverManager enabled env hostNetwork image imagePullPolicy imagePullSecrets
        kernelModuleConfig repository resources version
        """.split()
    ),
    "fullnameOverride": None,
    "global": None,
    "nameOverride": None,
}
"""By section: its keys in any supported release; None where any key is allowed."""

SUPPORTED = ((26, 3), (26, 7))
"""The major releases that the table was read from."""
REMOVED: dict[tuple[int, int], dict[tuple[str, ...], str]] = {
    (26, 7): {
        ("cdi", "default"): "remove it: since v26.7 CDI needs no default",
        ("operator", "initContainer"): "remove it: since v26.7 no pod of the operator uses this image",
    }
}
"""By major release: the values that its chart no longer reads, and what to do about them."""
ADDED: dict[tuple[int, int], frozenset[tuple[str, ...]]] = {
    (26, 7): frozenset(
        {
            ("clusterPolicy",),
            ("draDriver",),
            ("gpuCluster",),
            ("hostPaths", "kubeletRootDir"),
            ("operator", "env"),
            ("operator", "metrics"),
        }
    )
}
"""By major release: the values that its chart was the first to read."""


def known_keys(release: tuple[int, int]) -> dict[str, frozenset[str] | None]:
    """The keys that the chart of a major release reads, as KEYS."""
    unknown = {path for since, paths in REMOVED.items() if since <= release for path in paths}
    unknown |= {path for since, paths in ADDED.items() if since > release for path in paths}
    return {
        section: keys and frozenset(key for key in keys if (section, key) not in unknown)
        for section, keys in KEYS.items()
        if (section,) not in unknown
    }
