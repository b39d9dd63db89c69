"""The flags of the control plane's programs and of kube-proxy of Kubernetes 1.36.

Source: what cmd/kube-apiserver, cmd/kube-controller-manager, cmd/kube-scheduler and cmd/kube-proxy of
k8s.io/kubernetes v1.36.2 register. k3s runs them in its own process: a flag that one refuses ends k3s.
"""

from collections.abc import Mapping

from k3sgpu.settings.models.flag_values import CIPHER_SUITES, TLS_VERSIONS, types_by_name

_BY_TYPE = {
    "kube-apiserver": {
        "bool": """
            aggregator-reject-forwarding-redirect allow-privileged anonymous-auth
            audit-log-batch-throttle-enable audit-log-compress audit-log-truncate-enabled
            audit-webhook-batch-throttle-enable audit-webhook-truncate-enabled contention-profiling
            disable-http2-serving emulation-forward-compatible enable-aggregator-routing
            enable-bootstrap-token-auth enable-garbage-collector enable-logs-handler
            enable-priority-and-fairness encryption-provider-config-automatic-reload log-text-split-stream
            permit-address-sharing permit-port-sharing profiling
            runtime-config-emulation-forward-compatible service-account-extend-token-expiration
            service-account-lookup shutdown-send-retry-after watch-cache
        """,
        "int32": """
            v
        """,
        "int64": """
            apiserver-count audit-log-batch-buffer-size audit-log-batch-max-size
            audit-log-batch-throttle-burst audit-log-maxage audit-log-maxbackup audit-log-maxsize
            audit-log-truncate-max-batch-size audit-log-truncate-max-event-size
            audit-webhook-batch-buffer-size audit-webhook-batch-max-size
            audit-webhook-batch-throttle-burst audit-webhook-truncate-max-batch-size
            audit-webhook-truncate-max-event-size default-not-ready-toleration-seconds
            default-unreachable-toleration-seconds default-watch-cache-size delete-collection-workers
            http2-max-streams-per-connection kubernetes-service-node-port lease-reuse-duration-seconds
            max-connection-bytes-per-sec max-mutating-requests-inflight max-requests-inflight
            min-request-timeout secure-port
        """,
        "uint": """
            kubelet-port kubelet-read-only-port
        """,
        "float": """
            audit-log-batch-throttle-qps audit-webhook-batch-throttle-qps goaway-chance
        """,
        "duration": """
            audit-log-batch-max-wait audit-webhook-batch-initial-backoff audit-webhook-batch-max-wait
            audit-webhook-initial-backoff authentication-token-webhook-cache-ttl
            authorization-webhook-cache-authorized-ttl authorization-webhook-cache-unauthorized-ttl
            coordinated-leadership-lease-duration coordinated-leadership-renew-deadline
            coordinated-leadership-retry-period etcd-compaction-interval etcd-count-metric-poll-period
            etcd-db-metric-poll-interval etcd-healthcheck-timeout etcd-readycheck-timeout event-ttl
            kubelet-timeout livez-grace-period log-flush-frequency request-timeout
            service-account-max-token-expiration shutdown-delay-duration
            shutdown-watch-termination-grace-period storage-initialization-timeout
        """,
        "quantity": """
            log-text-info-buffer-size
        """,
        "gates": """
            feature-gates
        """,
        "ip": """
            advertise-address bind-address
        """,
        "text": """
            admission-control admission-control-config-file allow-metric-labels
            allow-metric-labels-manifest api-audiences audit-log-format audit-log-mode audit-log-path
            audit-log-version audit-policy-file audit-webhook-config-file audit-webhook-mode
            audit-webhook-version authentication-config authentication-token-webhook-config-file
            authentication-token-webhook-version authorization-config authorization-mode
            authorization-policy-file authorization-webhook-config-file authorization-webhook-version
            cert-dir client-ca-file cors-allowed-origins debug-socket-path disable-admission-plugins
            disabled-metrics egress-selector-config-file emulated-version enable-admission-plugins
            encryption-provider-config endpoint-reconciler-type etcd-cafile etcd-certfile etcd-keyfile
            etcd-prefix etcd-servers etcd-servers-overrides external-hostname
            kubelet-certificate-authority kubelet-client-certificate kubelet-client-key
            kubelet-preferred-address-types logging-format min-compatibility-version oidc-ca-file
            oidc-client-id oidc-groups-claim oidc-groups-prefix oidc-issuer-url oidc-required-claim
            oidc-signing-algs oidc-username-claim oidc-username-prefix peer-advertise-ip
            peer-advertise-port peer-ca-file proxy-client-cert-file proxy-client-key-file
            requestheader-allowed-names requestheader-client-ca-file requestheader-extra-headers-prefix
            requestheader-group-headers requestheader-uid-headers requestheader-username-headers
            runtime-config service-account-issuer service-account-jwks-uri service-account-key-file
            service-account-signing-endpoint service-account-signing-key-file service-cluster-ip-range
            service-node-port-range show-hidden-metrics-for-version storage-backend storage-media-type
            strict-transport-security-directives tls-cert-file tls-cipher-suites tls-curve-preferences
            tls-min-version tls-private-key-file tls-sni-cert-key token-auth-file tracing-config-file
            vmodule watch-cache-sizes
        """,
    },
    "kube-controller-manager": {
        "bool": """
            allocate-node-cidrs allow-untagged-cloud authentication-skip-lookup
            authentication-tolerate-lookup-failure configure-cloud-routes contention-profiling
            disable-attach-detach-reconcile-sync disable-force-detach-on-timeout disable-http2-serving
            enable-dynamic-provisioning enable-garbage-collector enable-hostpath-provisioner
            enable-leader-migration leader-elect log-text-split-stream permit-address-sharing
            permit-port-sharing profiling use-service-account-credentials
        """,
        "int32": """
            concurrent-cron-job-syncs concurrent-daemonset-syncs concurrent-deployment-syncs
            concurrent-device-taint-eviction-syncs concurrent-endpoint-syncs
            concurrent-ephemeralvolume-syncs concurrent-gc-syncs
            concurrent-horizontal-pod-autoscaler-syncs concurrent-job-syncs concurrent-namespace-syncs
            concurrent-replicaset-syncs concurrent-resource-quota-syncs concurrent-resourceclaim-syncs
            concurrent-service-endpoint-syncs concurrent-service-syncs
            concurrent-serviceaccount-token-syncs concurrent-statefulset-syncs
            concurrent-ttl-after-finished-syncs concurrent-validating-admission-policy-status-syncs
            concurrent_rc_syncs kube-api-burst large-cluster-size-threshold max-endpoints-per-slice
            mirroring-concurrent-service-endpoint-syncs mirroring-max-endpoints-per-subset
            node-cidr-mask-size node-cidr-mask-size-ipv4 node-cidr-mask-size-ipv6
            pv-recycler-increment-timeout-nfs pv-recycler-minimum-timeout-hostpath
            pv-recycler-minimum-timeout-nfs pv-recycler-timeout-increment-hostpath
            terminated-pod-gc-threshold v
        """,
        "int64": """
            http2-max-streams-per-connection secure-port
        """,
        "float": """
            horizontal-pod-autoscaler-tolerance kube-api-qps node-eviction-rate
            secondary-node-eviction-rate unhealthy-zone-threshold
        """,
        "duration": """
            attach-detach-reconcile-sync-period authentication-token-webhook-cache-ttl
            authorization-webhook-cache-authorized-ttl authorization-webhook-cache-unauthorized-ttl
            cluster-signing-duration controller-shutdown-timeout controller-start-interval
            endpoint-updates-batch-period endpointslice-updates-batch-period
            horizontal-pod-autoscaler-cpu-initialization-period
            horizontal-pod-autoscaler-downscale-stabilization
            horizontal-pod-autoscaler-initial-readiness-delay horizontal-pod-autoscaler-sync-period
            leader-elect-lease-duration leader-elect-renew-deadline leader-elect-retry-period
            legacy-service-account-token-clean-up-period log-flush-frequency min-resync-period
            mirroring-endpointslice-updates-batch-period namespace-sync-period node-monitor-grace-period
            node-monitor-period node-startup-grace-period node-sync-period pvclaimbinder-sync-period
            resource-quota-sync-period route-reconciliation-period
        """,
        "quantity": """
            log-text-info-buffer-size
        """,
        "gates": """
            feature-gates
        """,
        "ip": """
            bind-address
        """,
        "text": """
            allow-metric-labels allow-metric-labels-manifest authentication-kubeconfig
            authorization-always-allow-paths authorization-kubeconfig cert-dir cidr-allocator-type
            client-ca-file cloud-config cloud-provider cluster-cidr cluster-name cluster-signing-cert-file
            cluster-signing-key-file cluster-signing-kube-apiserver-client-cert-file
            cluster-signing-kube-apiserver-client-key-file cluster-signing-kubelet-client-cert-file
            cluster-signing-kubelet-client-key-file cluster-signing-kubelet-serving-cert-file
            cluster-signing-kubelet-serving-key-file cluster-signing-legacy-unknown-cert-file
            cluster-signing-legacy-unknown-key-file controllers disabled-metrics emulated-version
            external-cloud-volume-plugin flex-volume-plugin-dir kube-api-content-type kubeconfig
            leader-elect-resource-lock leader-elect-resource-name leader-elect-resource-namespace
            leader-migration-config logging-format master min-compatibility-version
            pv-recycler-pod-template-filepath-hostpath pv-recycler-pod-template-filepath-nfs
            requestheader-allowed-names requestheader-client-ca-file requestheader-extra-headers-prefix
            requestheader-group-headers requestheader-uid-headers requestheader-username-headers
            root-ca-file service-account-private-key-file service-cluster-ip-range
            show-hidden-metrics-for-version tls-cert-file tls-cipher-suites tls-curve-preferences
            tls-min-version tls-private-key-file tls-sni-cert-key vmodule
        """,
    },
    "kube-scheduler": {
        "bool": """
            authentication-skip-lookup authentication-tolerate-lookup-failure contention-profiling
            disable-http2-serving leader-elect log-text-split-stream permit-address-sharing
            permit-port-sharing profiling
        """,
        "int32": """
            kube-api-burst v
        """,
        "int64": """
            http2-max-streams-per-connection secure-port
        """,
        "float": """
            kube-api-qps
        """,
        "duration": """
            authentication-token-webhook-cache-ttl authorization-webhook-cache-authorized-ttl
            authorization-webhook-cache-unauthorized-ttl leader-elect-lease-duration
            leader-elect-renew-deadline leader-elect-retry-period log-flush-frequency
            pod-max-in-unschedulable-pods-duration
        """,
        "quantity": """
            log-text-info-buffer-size
        """,
        "gates": """
            feature-gates
        """,
        "ip": """
            bind-address
        """,
        "text": """
            allow-metric-labels allow-metric-labels-manifest authentication-kubeconfig
            authorization-always-allow-paths authorization-kubeconfig cert-dir client-ca-file config
            disabled-metrics emulated-version kube-api-content-type kubeconfig leader-elect-resource-lock
            leader-elect-resource-name leader-elect-resource-namespace logging-format master
            min-compatibility-version requestheader-allowed-names requestheader-client-ca-file
            requestheader-extra-headers-prefix requestheader-group-headers requestheader-uid-headers
            requestheader-username-headers show-hidden-metrics-for-version tls-cert-file tls-cipher-suites
            tls-curve-preferences tls-min-version tls-private-key-file tls-sni-cert-key vmodule
            write-config-to
        """,
    },
    "kube-proxy": {
        "bool": """
            bind-address-hard-fail cleanup conntrack-tcp-be-liberal init-only iptables-localhost-nodeports
            ipvs-strict-arp log-text-split-stream masquerade-all profiling
        """,
        "int32": """
            conntrack-max-per-core conntrack-min healthz-port iptables-masquerade-bit kube-api-burst
            metrics-port oom-score-adj v
        """,
        "float": """
            kube-api-qps
        """,
        "duration": """
            config-sync-period conntrack-tcp-timeout-close-wait conntrack-tcp-timeout-established
            conntrack-udp-timeout conntrack-udp-timeout-stream iptables-min-sync-period
            iptables-sync-period ipvs-min-sync-period ipvs-sync-period ipvs-tcp-timeout
            ipvs-tcpfin-timeout ipvs-udp-timeout log-flush-frequency
        """,
        "quantity": """
            log-text-info-buffer-size
        """,
        "gates": """
            feature-gates
        """,
        "ip": """
            bind-address
        """,
        "text": """
            cluster-cidr config detect-local-mode healthz-bind-address hostname-override
            ipvs-exclude-cidrs ipvs-scheduler kube-api-content-type kubeconfig logging-format master
            metrics-bind-address nodeport-addresses pod-bridge-interface pod-interface-name-prefix
            proxy-mode show-hidden-metrics-for-version vmodule write-config-to
        """,
    },
}
COMPONENT_FLAGS: Mapping[str, Mapping[str, str]] = {
    component: types_by_name(names) for component, names in _BY_TYPE.items()
}
"""By program and flag: the type of its value, a name of `flag_values.FLAG_TYPES`."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    "audit-log-format": ("json", "legacy"),
    "audit-log-mode": ("batch", "blocking", "blocking-strict"),
    "audit-webhook-mode": ("batch", "blocking", "blocking-strict"),
    "authorization-mode": ("Node", "RBAC", "Webhook", "ABAC", "AlwaysAllow", "AlwaysDeny"),
    "detect-local-mode": ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"),
    "endpoint-reconciler-type": ("lease", "none"),
    "logging-format": ("text", "json"),
    "proxy-mode": ("iptables", "ipvs", "nftables"),
    "tls-cipher-suites": CIPHER_SUITES,
    "tls-min-version": TLS_VERSIONS,
}
"""Flags of these programs with a few values."""
LISTS = ("authorization-mode", "tls-cipher-suites")
"""Flags that list some of their values."""
