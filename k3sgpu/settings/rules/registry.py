"""The rules of the stack file that span several keys, in the order in which they are checked.

A rule is a function in the module of its section. It takes a Draft, yields a Problem for each violation and
nothing else; all rules run, whatever the others find. What one key alone can show is checked by its type in
`models`.
"""

from collections.abc import Callable, Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.rules import (
    chart_texts,
    cluster,
    drivers,
    hosts,
    k3s,
    k3s_config,
    kubelet,
    kubelet_companions,
    labels,
    networks,
    operator,
    operator_nodes,
    partitions,
    servers,
    sharing,
    ssh,
    workloads,
)
from k3sgpu.settings.rules.draft import Draft

RULES: tuple[Callable[[Draft], Iterator[Problem]], ...] = (
    cluster.cluster_has_one_source,
    cluster.secrets_have_a_use,
    cluster.kubeconfig_has_one_source,
    cluster.pools_match_cluster,
    hosts.nodes_are_unique,
    servers.server_count_is_odd,
    servers.initial_server_is_a_server,
    servers.registration_address_is_set,
    servers.registration_address_is_not_lost,
    hosts.names_and_addresses_are_unique,
    hosts.external_addresses_are_unique,
    ssh.private_key_has_one_source,
    k3s.client_certificates_have_keys,
    k3s.proxy_has_an_address,
    k3s.release_has_one_source,
    k3s.install_script_has_sha256,
    k3s_config.config_keys_are_known,
    k3s_config.config_values_are_valid,
    k3s_config.config_holds_no_secrets,
    k3s_config.program_arguments_are_valid,
    k3s_config.containers_can_use_gpus,
    k3s_config.addresses_are_reachable,
    k3s_config.cluster_dns_is_a_service,
    k3s.runtimes_are_enabled_with_gpus,
    k3s.snapshots_need_etcd,
    k3s.secrets_match_settings,
    kubelet.arguments_are_known,
    kubelet.argument_values_are_valid,
    kubelet_companions.arguments_have_their_companions,
    kubelet_companions.pods_have_addresses,
    kubelet_companions.kernel_defaults_are_set,
    kubelet_companions.root_dir_is_the_usual_one,
    labels.labels_have_one_writer,
    labels.taints_do_not_conflict,
    networks.networks_are_aligned,
    networks.networks_do_not_overlap,
    networks.cluster_network_has_room,
    sharing.profiles_exist,
    sharing.mps_excludes_time_slicing,
    sharing.mps_excludes_mixed_mig,
    sharing.resources_are_shared_once,
    sharing.mps_serves_all_clients,
    partitions.product_has_partitions,
    partitions.profile_offers_partitions,
    sharing.shared_resources_exist,
    sharing.requests_are_allowed,
    operator.values_do_not_override_program,
    operator.values_keep_what_sharing_needs,
    operator.values_are_known,
    operator.values_have_types,
    chart_texts.values_hold_no_secret,
    chart_texts.texts_can_be_stored,
    operator.containerd_template_is_not_overwritten,
    operator.variables_do_not_override_program,
    operator.repository_only_with_chart_name,
    operator.workloads_need_operator,
    operator_nodes.operator_has_a_node,
    workloads.namespaces_are_not_reserved,
    workloads.keys_match_kind,
    workloads.pools_have_cards,
    workloads.tolerations_are_valid,
    workloads.options_hold_no_secret,
    workloads.security_contexts_are_valid,
    workloads.variables_are_unique,
    drivers.images_suit_drivers,
    drivers.images_suit_cards,
    drivers.testers_suit_cards,
    drivers.drivers_support_cards,
    drivers.kernel_modules_support_cards,
    drivers.memory_matches_product,
)


def check(draft: Draft) -> list[Problem]:
    """All problems that the rules find."""
    return [problem for rule in RULES for problem in rule(draft)]
