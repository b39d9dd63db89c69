"""The configuration of NVIDIA's device plugin: one file per profile, and the ConfigMap that holds them."""

import hashlib

import yaml

from k3sgpu.operator_releases import mps_needs_the_default
from k3sgpu.settings import NO_SHARING, Profile, Settings
from k3sgpu.wellknown import CONFIG_MAP


def device_plugin_config(profile: Profile) -> str:
    """The device plugin's configuration file for one profile, as YAML.

    Profiles that mean the same give the same text. The text's hash is part of a node label, so a change
    here makes the plugin restart on every node.
    """
    document: dict[str, object] = {"version": "v1"}
    if profile.mig_strategy:
        document["flags"] = {"migStrategy": profile.mig_strategy}
    if shared := profile.shared:
        options: dict[str, object] = {}
        if shared.rename_by_default:
            options["renameByDefault"] = True
        if shared.fail_requests_greater_than_one:
            options["failRequestsGreaterThanOne"] = True
        options["resources"] = [{"name": item.name, "replicas": item.replicas} for item in shared.resources]
        document["sharing"] = {profile.strategy_key: options}
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=False)


def config_key(name: str, text: str) -> str:
    """The key of a profile in the ConfigMap: "<name>-<first 8 hex digits of the SHA-256>", or "none".

    The node label holds this key, and a changed label is all that the plugin's config-manager watches. So a
    changed text needs a changed key.
    """
    return name if name == NO_SHARING else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def config_keys(settings: Settings) -> dict[str, str]:
    """The ConfigMap key of every profile, by the profile's name.

    A profile that was adopted and is unchanged keeps the key that it was found with.
    """
    profiles, adopted = settings.sharing.profiles.items(), settings.sharing.adopted
    keys = {name: config_key(name, device_plugin_config(profile)) for name, profile in profiles}
    return {name: adopted.keys.get(key, key) for name, key in keys.items()} if adopted else keys


def config_map_name(settings: Settings) -> str:
    """The ConfigMap of the configurations: the one that was found, or else the program's own."""
    adopted = settings.sharing.adopted
    return adopted.config_map if adopted else CONFIG_MAP


def default_config_key(settings: Settings) -> str:
    """The key of the configuration for nodes without a label, with which every plugin and MPS daemon starts.

    It is that of sharing.default, or of the profile with MPS while cards use one and the operator's release
    starts MPS daemons with the default only. "" where a sharing was adopted without one.
    """
    profiles, keys = settings.sharing.profiles, config_keys(settings)
    used = dict.fromkeys(node.gpu.profile for node in settings.nodes if node.gpu)
    with_mps = [name for name in used if profiles[name].mps]
    if len(with_mps) == 1 and mps_needs_the_default(settings.gpu_operator.version):
        return keys[with_mps[0]]
    adopted = settings.sharing.adopted
    return adopted.default if adopted else keys[settings.sharing.default]


def config_map_data(settings: Settings) -> dict[str, str]:
    """The data of the ConfigMap: the configuration of every profile by its key, sorted by key.

    An adopted default stays, with the configuration of sharing.default, although that profile may have a
    new key: another default would start the device plugin of every node anew.
    """
    keys, adopted = config_keys(settings), settings.sharing.adopted
    texts = {name: device_plugin_config(profile) for name, profile in settings.sharing.profiles.items()}
    data = {keys[name]: text for name, text in texts.items()}
    if adopted and adopted.default:
        data[adopted.default] = texts[settings.sharing.default]
    return dict(sorted(data.items()))
