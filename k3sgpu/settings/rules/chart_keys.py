"""The keys of the GPU Operator chart's values (v26.3.3). Helm silently ignores any other key."""

KNOWN_FOR = "v26.3."
"""The prefix of the releases that the table was read from."""

KEYS: dict[str, frozenset[str] | None] = {
    "ccManager": frozenset(
        """
        args defaultMode enabled env hostNetwork image imagePullPolicy imagePullSecrets repository
        resources version
        """.split()
    ),
    "cdi": frozenset("default enabled nriPluginEnabled".split()),
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
    "hostPaths": frozenset("driverInstallDir rootFS".split()),
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
        affinity annotations cleanupCRD defaultRuntime image imagePullPolicy imagePullSecrets
        initContainer labels logging priorityClassName repository resources runtimeClass tolerations
        upgradeCRD use_ocp_driver_toolkit
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
"""By section of values.yaml: its keys there and in the ClusterPolicy; None where any key is allowed."""
