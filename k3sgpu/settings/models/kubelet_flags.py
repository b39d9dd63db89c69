"""The kubelet's flags and feature gates of Kubernetes 1.36, and what their values may be.

Sources, of k8s.io/kubernetes v1.36.2: the flags are those that cmd/kubelet/app/options registers (AddFlags,
AddKubeletConfigFlags, AddGlobalFlags); bounds and choices are those of pkg/kubelet/apis/config/validation and
cmd/kubelet/app/server.go; the gates are those of pkg/features, k8s.io/apiserver/pkg/features and
k8s.io/component-base/logs. k3s 1.36 passes `kubelet-arg` to this code (pkg/daemons/agent), so a flag that is
not listed ends k3s.
"""

from collections.abc import Mapping

from k3sgpu.settings.models.flag_values import CIPHER_SUITES, TLS_VERSIONS, types_by_name

KUBERNETES_MINOR = 36
"""The minor version of Kubernetes whose flags this is."""

_BY_TYPE = {
    "bool": """
        anonymous-auth authentication-token-webhook cgroups-per-qos contention-profiling cpu-cfs-quota
        enable-controller-attach-detach enable-debugging-handlers enable-load-reader enable-server
        exit-on-lock-contention experimental-allocatable-ignore-eviction fail-cgroupv1 fail-swap-on
        kernel-memcg-notification local-storage-capacity-isolation log-cadvisor-usage log-json-split-stream
        log-text-split-stream make-iptables-util-chains protect-kernel-defaults register-node
        rotate-certificates rotate-server-certificates runonce seccomp-default serialize-image-pulls
        storage-driver-secure
    """,
    "int32": """
        container-log-max-files event-burst event-qps eviction-max-pod-grace-period healthz-port
        image-gc-high-threshold image-gc-low-threshold kube-api-burst kube-api-qps max-pods
        maximum-dead-containers maximum-dead-containers-per-container node-status-max-images oom-score-adj
        pods-per-core port read-only-port registry-burst registry-qps v
    """,
    "int64": """
        application-metrics-count-limit max-open-files pod-max-pids
    """,
    "duration": """
        authentication-token-webhook-cache-ttl authorization-webhook-cache-authorized-ttl
        authorization-webhook-cache-unauthorized-ttl cpu-cfs-quota-period cpu-manager-reconcile-period
        eviction-pressure-transition-period file-check-frequency global-housekeeping-interval
        housekeeping-interval http-check-frequency log-flush-frequency minimum-container-ttl-duration
        minimum-image-ttl-duration node-status-update-frequency runtime-request-timeout
        storage-driver-buffer-duration streaming-connection-idle-timeout sync-frequency
        volume-stats-agg-period
    """,
    "quantity": """
        log-json-info-buffer-size log-text-info-buffer-size
    """,
    "gates": """
        feature-gates
    """,
    "pairs": """
        cpu-manager-policy-options eviction-minimum-reclaim eviction-soft-grace-period node-labels
        qos-reserved topology-manager-policy-options
    """,
    "reserved": """
        kube-reserved system-reserved
    """,
    "thresholds": """
        eviction-hard eviction-soft
    """,
    "ip": """
        address healthz-bind-address
    """,
    "text": """
        allowed-unsafe-sysctls authorization-mode boot-id-file bootstrap-kubeconfig cert-dir cgroup-driver
        cgroup-root client-ca-file cloud-provider cluster-dns cluster-domain config config-dir
        container-hints container-log-max-size container-runtime-endpoint containerd containerd-namespace
        cpu-manager-policy enforce-node-allocatable event-storage-age-limit event-storage-event-limit
        experimental-mounter-path hairpin-mode hostname-override image-credential-provider-bin-dir
        image-credential-provider-config image-service-endpoint kube-api-content-type kube-reserved-cgroup
        kubeconfig kubelet-cgroups lock-file logging-format machine-id-file manifest-url manifest-url-header
        memory-manager-policy node-ip pod-cidr pod-manifest-path provider-id register-with-taints
        reserved-cpus reserved-memory resolv-conf root-dir runtime-cgroups storage-driver-db
        storage-driver-host storage-driver-password storage-driver-table storage-driver-user system-cgroups
        system-reserved-cgroup tls-cert-file tls-cipher-suites tls-min-version tls-private-key-file
        topology-manager-policy topology-manager-scope vmodule volume-plugin-dir
    """,
}
KUBELET_FLAGS: Mapping[str, str] = types_by_name(_BY_TYPE)
"""The type of each flag, a name of `flag_values.FLAG_TYPES`, `reserved` (a list RESOURCE=QUANTITY) or
`thresholds` (a list SIGNAL<QUANTITY or SIGNAL<PERCENTAGE)."""

_PORTS = (0, 65535)
RANGES: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("healthz-port", "read-only-port"), _PORTS),
    "port": (1, 65535),
    **dict.fromkeys(("image-gc-high-threshold", "image-gc-low-threshold"), (0, 100)),
    "oom-score-adj": (-1000, 1000),
    "node-status-max-images": (-1, 2**31 - 1),
    "max-pods": (1, 65534),
    "container-log-max-files": (2, 10_000),
    "pod-max-pids": (-1, 2**22),
    "v": (0, 10),
    **dict.fromkeys(
        ("event-burst", "event-qps", "kube-api-burst", "kube-api-qps", "registry-burst", "registry-qps"),
        (0, 2**31 - 1),
    ),
    **dict.fromkeys(("max-open-files", "pods-per-core"), (0, 2**31 - 1)),
}
"""The lowest and the highest value. max-pods: the kubelet takes 0 as well, and then runs no pod."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "cpu-manager-policy": ("none", "static"),
    "memory-manager-policy": ("None", "Static"),
    "topology-manager-policy": ("none", "best-effort", "restricted", "single-numa-node"),
    "topology-manager-scope": ("container", "pod"),
    "hairpin-mode": ("promiscuous-bridge", "hairpin-veth", "none"),
    "logging-format": ("text", "json"),
    "authorization-mode": ("Webhook", "AlwaysAllow"),
    "tls-cipher-suites": CIPHER_SUITES,
    "tls-min-version": TLS_VERSIONS,
    "enable-server": ("true",),
    "register-node": ("true",),
    "runonce": ("false",),
}
"""Flags with a few values. The last three: with another value no pod runs on the node."""
LISTS = ("tls-cipher-suites",)
"""Flags that list some of their values."""

ENFORCEMENTS = (
    *("none", "pods", "system-reserved", "system-reserved-compressible"),
    *("kube-reserved", "kube-reserved-compressible"),
)
"""What enforce-node-allocatable may list."""

RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")
"""The resources of kube-reserved and system-reserved."""

SIGNALS = (
    *("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"),
    *("containerfs.available", "containerfs.inodesFree", "allocatableMemory.available", "pid.available"),
)
"""The signals of eviction-hard and eviction-soft (pkg/kubelet/eviction/api)."""

FOLDERS_AND_FILES = frozenset(
    """
    config lock-file resolv-conf root-dir image-credential-provider-bin-dir
    image-credential-provider-config boot-id-file container-hints experimental-mounter-path
    """.split()
)
"""Flags whose value is a path on the host."""

FLAGS_BY_FIELD: Mapping[str, str] = {
    "clusterDNS": "cluster-dns",
    "cpuCFSQuota": "cpu-cfs-quota",
    "cpuCFSQuotaPeriod": "cpu-cfs-quota-period",
    "eventRecordQPS": "event-qps",
    "failCgroupV1": "fail-cgroupv1",
    "imageGCHighThresholdPercent": "image-gc-high-threshold",
    "imageGCLowThresholdPercent": "image-gc-low-threshold",
    "imageMinimumGCAge": "minimum-image-ttl-duration",
    "kubeAPIBurst": "kube-api-burst",
    "kubeAPIQPS": "kube-api-qps",
    "podPidsLimit": "pod-max-pids",
    "registryPullQPS": "registry-qps",
    "reservedSystemCPUs": "reserved-cpus",
    "staticPodPath": "pod-manifest-path",
    "volumeStatsAggPeriod": "volume-stats-agg-period",
}
"""Flags by the field of a KubeletConfiguration, where the names differ in more than their dashes."""

FIELDS_WITHOUT_FLAG = frozenset(
    """
    containerLogMaxWorkers containerLogMonitorInterval crashLoopBackOff enableProfilingHandler
    enableSystemLogHandler enableSystemLogQuery imageMaximumGCAge imagePullCredentialsVerificationPolicy
    maxParallelImagePulls memorySwap
    memoryThrottlingFactor nodeLeaseDurationSeconds nodeStatusReportFrequency podLogsDir shutdownGracePeriod
    shutdownGracePeriodByPodPriority shutdownGracePeriodCriticalPods singleProcessOOMKill userNamespaces
    """.split()
)
"""Fields of a KubeletConfiguration that have no flag."""

FREE_GATES = frozenset(
    """
    APIResponseCompression APIServerIdentity APIServingWithRoutine AllAlpha AllBeta AllowDNSOnlyNodeCSR
    AllowInsecureKubeletCertificateSigningRequests AllowParsingUserUIDFromCertAuth AllowServiceExternalIPs
    AllowUnsafeMalformedObjectDeletion AtomicFIFO AuthorizePodWebsocketUpgradeCreatePermission
    CBORServingAndStorage CPUManagerPolicyAlphaOptions CPUManagerPolicyBetaOptions
    CRDObservedGenerationTracking CRIListStreaming CSIVolumeHealth ChangeContainerStatusOnKubeletRestart
    ClearingNominatedNodeNameAfterBinding ClientsAllowCARotation ClientsAllowCBOR ClientsAllowTLSCacheGC
    ClientsPreferCBOR CloudControllerManagerWatchBasedRoutesReconciliation CloudControllerManagerWebhook
    ClusterTrustBundle ClusterTrustBundleProjection ComponentFlagz ComponentStatusz
    ConcurrentWatchObjectDecode ConstrainedImpersonation ContainerCheckpoint ContainerRestartRules
    ContainerStopSignals ContextualLogging CoordinatedLeaderElection CrossNamespaceVolumeDataSource
    CustomCPUCFSQuotaPeriod DRAConsumableCapacity DRADeviceBindingConditions DRADeviceTaintRules
    DRADeviceTaints DRAExtendedResource DRAListTypeAttributes DRANodeAllocatableResources
    DRAPartitionableDevices DRAPrioritizedList DRAResourceClaimDeviceStatus
    DRAResourceClaimGranularStatusAuthorization DRAResourcePoolStatus DRASchedulerFilterTimeout
    DRAWorkloadResourceClaims DeclarativeValidationBeta DeclarativeValidationTakeover
    DeploymentReplicaSetTerminatingReplicas DetectCacheInconsistency DisableCPUQuotaWithExclusiveCPUs
    EnvFiles EventedPLEG ExtendWebSocketsToKubelet GangScheduling GenericWorkload GracefulNodeShutdown
    GracefulNodeShutdownBasedOnPodPriority HPAConfigurableTolerance HPAScaleToZero HostnameOverride
    ImageVolumeWithDigest InOrderInformersBatchProcess InPlacePodLevelResourcesVerticalScaling
    InPlacePodVerticalScalingExclusiveCPUs InPlacePodVerticalScalingExclusiveMemory
    InPlacePodVerticalScalingInitContainers InformerResourceVersion KMSv1 KubeletCrashLoopBackOffMax
    KubeletEnsureSecretPulledImages KubeletInUserNamespace KubeletPodResourcesListUseActivePods
    KubeletRegistrationGetOnExistsOnly KubeletSeparateDiskGC
    KubeletServiceAccountTokenForCredentialProviders ListFromCacheSnapshot
    LocalStorageCapacityIsolationFSQuotaMonitoring LoggingAlphaOptions LoggingBetaOptions
    ManifestBasedAdmissionControlConfig MatchLabelKeysInPodTopologySpread
    MatchLabelKeysInPodTopologySpreadSelectorMerge MaxUnavailableStatefulSet MemoryQoS MutablePVNodeAffinity
    MutablePodResourcesForSuspendedJobs MutableSchedulingDirectivesForSuspendedJobs MutatingAdmissionPolicy
    NodeDeclaredFeatures NominatedNodeNameForExpectation OpenAPIEnums OpportunisticBatching
    PLEGOnDemandRelist PersistentVolumeClaimUnusedSinceTime PodAndContainerStatsFromCRI
    PodCertificateRequest PodDeletionCost PodLevelResourceManagers PodLevelResources
    PodLogsQuerySplitStreams PodReadyToStartContainersCondition PodTopologyLabelsAdmission PodsAPI
    PortForwardWebsockets PreventStaticPodAPIReferences QOSReserved ReduceDefaultCrashLoopBackOffDecay
    RelaxedServiceNameValidation ReloadKubeletClientCAFile ReloadKubeletServerCertificateFile
    RemoteRequestHeaderUID ResourceHealthStatus ResourceHealthStatusMessage
    RestartAllContainersOnContainerExits RotateKubeletServerCertificate RuntimeClassInImageCriApi
    SELinuxMount SchedulerAsyncAPICalls SchedulerAsyncPreemption SchedulerPopFromBackoffQ
    ServiceAccountNodeAudienceRestriction ServiceCIDRStatusFieldWiping ShardedListAndWatch
    SizeBasedListCostEstimate StaleControllerConsistencyDaemonSet StaleControllerConsistencyJob
    StaleControllerConsistencyReplicaSet StaleControllerConsistencyStatefulSet
    StatefulSetSemanticRevisionComparison StorageCapacityScoring StorageNamespaceIndex StorageVersionAPI
    StorageVersionHash StorageVersionMigrator StrictIPCIDRValidation
    StructuredAuthenticationConfigurationEgressSelector StructuredAuthenticationConfigurationJWKSMetrics
    TaintTolerationComparisonOperators TokenRequestServiceAccountUIDValidation
    TopologyAwareWorkloadScheduling TopologyManagerPolicyAlphaOptions TopologyManagerPolicyBetaOptions
    TranslateStreamCloseWebsocketRequests UnauthenticatedHTTP2DOSMitigation
    UnknownVersionInteroperabilityProxy UnlockWhileProcessingFIFO UserNamespacesHostNetworkSupport
    VolumeLimitScaling WatchCacheInitializationPostStartHook WatchList WatchListClient
    WindowsCPUAndMemoryAffinity WindowsGracefulNodeShutdown WindowsHostNetwork WorkloadAwarePreemption
    WorkloadWithJob
    """.split()
)
"""Feature gates that may be true or false."""

LOCKED_GATES: Mapping[str, bool] = {
    **dict.fromkeys(
        """
        APIServerTracing AggregatedDiscoveryRemoveBetaType AnonymousAuthConfigurableEndpoints
        AnyVolumeDataSource AuthorizeNodeWithSelectors AuthorizeWithSelectors BtreeWatchCache
        CPUManagerPolicyOptions CRDValidationRatcheting CSIServiceAccountTokenSecrets
        ConsistentListFromCache CustomResourceFieldSelectors DRAAdminAccess DeclarativeValidation
        DisableAllocatorDualWrite DisableNodeKubeProxyVersion DynamicResourceAllocation ExecProbeTimeout
        ExternalServiceAccountTokenSigner ImageMaximumGCAge ImageVolume InOrderInformers
        InPlacePodVerticalScaling JobBackoffLimitPerIndex JobManagedBy JobPodReplacementPolicy
        JobSuccessPolicy KubeletCgroupDriverFromCRI KubeletFineGrainedAuthz KubeletPSI
        KubeletPodResourcesDynamicResources KubeletPodResourcesGet KubeletTracing LogarithmicScaleDown
        MatchLabelKeysInPodAffinity MultiCIDRServiceAllocator MutableCSINodeAllocatableCount
        NFTablesProxyMode NodeInclusionPolicyInPodTopologySpread NodeLogQuery NodeSwap
        OrderedNamespaceDeletion PodLifecycleSleepAction PodLifecycleSleepActionAllowZero
        PodObservedGenerationTracking PodSchedulingReadiness PreferSameTrafficDistribution ProcMountType
        RecoverVolumeExpansionFailure RecursiveReadOnlyMounts RelaxedDNSSearchValidation
        RelaxedEnvironmentVariableValidation ResilientWatchCacheInitialization RetryGenerateName
        SELinuxChangePolicy SELinuxMountReadWriteOncePod SchedulerQueueingHints
        SeparateTaintEvictionController ServiceAccountTokenJTI ServiceAccountTokenNodeBinding
        ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo SidecarContainers
        StreamingCollectionEncodingToJSON StreamingCollectionEncodingToProtobuf
        StructuredAuthenticationConfiguration SupplementalGroupsPolicy SystemdWatchdog
        TopologyManagerPolicyOptions UserNamespacesSupport VolumeAttributesClass WinDSR WinOverlay
        """.split(),
        True,
    ),
    **dict.fromkeys(
        "AllowOverwriteTerminationGracePeriodSeconds GitRepoVolumeDriver SeparateCacheWatchRPC".split(), False
    ),
}
"""Feature gates that have one value left."""
