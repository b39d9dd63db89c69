"""The device plugin's configuration: its text, its keys, its ConfigMap."""

import re
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.capacity.device_plugin import config_key
from tests.data.stack_files import RESOURCES, with_

SLICING = "sharing/profiles/six/timeSlicing"


def text_of(changes: dict[str, Any]) -> str:
    """The plugin's file for the profile six."""
    return capacity.device_plugin_config(s.parse(with_({"workloads": {}, **changes})).sharing.profiles["six"])


def test_configuration_text_of_time_slicing() -> None:
    assert text_of({}) == (
        "version: v1\nsharing:\n  timeSlicing:\n"
        "    resources:\n    - name: nvidia.com/gpu\n      replicas: 6\n"
    )
    assert text_of({"sharing/profiles/six": {}}) == "version: v1\n"
    flags = {f"{SLICING}/renameByDefault": True, f"{SLICING}/failRequestsGreaterThanOne": True}
    slicing = yaml.safe_load(text_of(flags))["sharing"]["timeSlicing"]
    assert slicing["renameByDefault"] is True and slicing["failRequestsGreaterThanOne"] is True


def test_mps_profile_is_written_under_mps() -> None:
    profile = {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}}
    assert yaml.safe_load(text_of({"sharing/profiles/six": profile})) == {
        "version": "v1",
        "sharing": {
            "mps": {
                "failRequestsGreaterThanOne": True,
                "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
            }
        },
    }


def test_mig_strategy_is_written_as_a_flag() -> None:
    assert text_of({"sharing/profiles/six": {"migStrategy": "single"}}) == (
        "version: v1\nflags:\n  migStrategy: single\n"
    )


def test_equal_profiles_give_equal_texts() -> None:
    spelled = {f"{SLICING}/renameByDefault": False, f"{SLICING}/failRequestsGreaterThanOne": False}
    assert text_of(spelled) == text_of({}) == text_of({f"{RESOURCES}/0/name": "gpu"})


def test_key_changes_only_with_the_text() -> None:
    six, eight = text_of({}), text_of({f"{RESOURCES}/0/replicas": 8})
    assert config_key("a", six) == config_key("a", six) != config_key("a", eight)
    assert config_key("none", "version: v1\n") == "none"


def test_profile_with_mps_is_the_default_while_cards_use_it() -> None:
    def default(changes: dict[str, Any]) -> str:
        return capacity.default_config_key(s.parse(with_({"workloads": {}, **changes})))

    clients = {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}}
    assert default({}) == "none"
    assert default({"sharing/default": "six"}).startswith("six-")
    assert default({"sharing/profiles/clients": clients}) == "none"
    used = {"sharing/profiles/clients": clients, "pools/rtx/gpu/profile": "clients"}
    assert default({**used, "sharing/default": "six"}).startswith("clients-")
    assert default({**used, "gpuOperator/version": "v25.10.1"}) == "none"


def test_config_map_holds_every_profile() -> None:
    data = capacity.config_map_data(s.parse(with_({"sharing/profiles/idle": {}})))
    assert [key.rpartition("-")[0] or key for key in data] == ["idle", "none", "six"]
    assert data["none"] == "version: v1\n"


def adopted(**changes: Any) -> s.Settings:
    """A sharing that was configured by hand under the key `found`, with six slices of the profile six."""
    key = config_key("six", text_of({}))
    names = {"configMap": "by-hand", "default": "found", "keys": {key: "found"}}
    operator = {"release": "gpu-operator-1", "version": "v26.7.0", "adopted": True}
    off = {"driver": {"enabled": False}, "toolkit": {"enabled": False}}
    sharing = {"sharing/default": "six", "sharing/adopted": names}
    return s.parse(with_({"gpuOperator": {**operator, "values": off}, **sharing, **changes}))


def test_adopted_profile_keeps_its_key_until_it_changes() -> None:
    before, after = adopted(), adopted(**{f"{RESOURCES}/0/replicas": 8})
    assert capacity.config_map_name(before) == capacity.config_map_name(after) == "by-hand"
    assert capacity.config_map_data(before) == {"found": text_of({}), "none": "version: v1\n"}
    assert capacity.default_config_key(before) == capacity.default_config_key(after) == "found"
    label = next(one for one in capacity.offers(after) if one.cards).labels["nvidia.com/device-plugin.config"]
    eight = text_of({f"{RESOURCES}/0/replicas": 8})
    assert label == config_key("six", eight)
    assert capacity.config_map_data(after) == {"found": eight, "none": "version: v1\n", label: eight}


def test_adopted_operator_overrides_the_strategy_of_partitions() -> None:
    strategies = {one.mig_strategy for one in capacity.offers(adopted()) if one.cards}
    assert strategies == {"single"}


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,52}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: name != "none"
)


@settings(max_examples=40, deadline=None)
@given(NAMES, st.integers(2, 1000), st.integers(1, 16))
def test_any_profile_gives_a_valid_key_and_text(name: str, replicas: int, cards: int) -> None:
    profile = {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": replicas}]}}
    parsed = s.parse(
        with_(
            {
                "sharing": {"profiles": {name: profile}},
                "pools/rtx/gpu/profile": name,
                "pools/rtx/gpu/count": cards,
            }
        )
    )
    offer = next(offer for offer in capacity.offers(parsed) if offer.cards)
    key = offer.labels["nvidia.com/device-plugin.config"]
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", key)
    (shared,) = yaml.safe_load(capacity.config_map_data(parsed)[key])["sharing"]["timeSlicing"]["resources"]
    assert shared == {"name": "nvidia.com/gpu", "replicas": replicas}
    assert offer.resources == {"nvidia.com/gpu": cards * replicas}
