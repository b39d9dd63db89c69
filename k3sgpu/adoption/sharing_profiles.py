"""Configurations of NVIDIA's device plugin, written by hand, as profiles of the stack file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from k3sgpu.capacity import config_key, device_plugin_config
from k3sgpu.foreign_text import escape
from k3sgpu.settings import NO_SHARING, PROFILE_LIMIT, Profile

_FLAGS = {"migStrategy"}
_SHARED = {"renameByDefault", "failRequestsGreaterThanOne", "resources"}
_RESOURCE = {"name", "replicas"}


class NotExpressible(Exception):
    """A configuration that no profile expresses; the text says what of it."""


@dataclass(frozen=True)
class FoundProfile:
    """A configuration of the ConfigMap as a profile."""

    key: str
    """In the ConfigMap."""
    name: str
    """Of the profile; `none` for a configuration that shares nothing and has this key."""
    section: Mapping[str, Any]
    """The profile as the stack file has it."""
    generated: str
    """The key that the program would give it."""


def found_profile(key: str, text: str) -> FoundProfile:
    """Returns the configuration `text` as a profile. Raises NotExpressible."""
    section = _section(text)
    try:
        profile = Profile.model_validate(section)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise NotExpressible(f"{where}: {first['msg']}") from None
    name = _profile_name(key)
    if key == NO_SHARING and section:
        name = f"{NO_SHARING}-shared"  # the key is the program's: a rule refuses it
    return FoundProfile(key, name, section, config_key(name, device_plugin_config(profile)))


def _section(text: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise NotExpressible("it is not YAML") from None
    if not isinstance(document, Mapping):
        raise NotExpressible("it is no mapping")
    if document.get("version") != "v1":
        raise NotExpressible(f"version: {escape(document.get('version'), 40)} instead of v1")
    _refuse_others("", document, {"version", "flags", "sharing"})
    flags, sharing = _mapping("flags", document), _mapping("sharing", document)
    _refuse_others("flags.", flags, _FLAGS)
    _refuse_others("sharing.", sharing, {"timeSlicing", "mps"})
    section: dict[str, Any] = {key: value for key, value in flags.items() if value not in (None, "none")}
    for strategy in sharing:
        section[strategy] = _shared(strategy, _mapping(strategy, sharing))
    return section


def _shared(strategy: str, found: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_others(f"sharing.{strategy}.", found, _SHARED)
    shared: dict[str, Any] = {
        key: value for key, value in found.items() if key != "resources" and value is True
    }
    resources = found.get("resources")
    if not isinstance(resources, list) or not all(isinstance(one, Mapping) for one in resources):
        raise NotExpressible(f"sharing.{strategy}.resources is no list of mappings")
    shared["resources"] = [dict(_resource(strategy, one)) for one in resources]
    return shared


def _resource(strategy: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The entry without what says nothing: every device is the plugin's default."""
    for key, value in entry.items():
        if key in _RESOURCE:
            yield key, value
        elif (key, value) != ("devices", "all"):
            raise NotExpressible(f"sharing.{strategy}.resources has {escape(key, 40)}")


def _mapping(key: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document.get(key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise NotExpressible(f"{key} is no mapping")
    return found


def _refuse_others(prefix: str, found: Mapping[Any, Any], known: set[str]) -> None:
    others = sorted(escape(key, 40) for key in found if key not in known)
    if others:
        raise NotExpressible(f"it has {', '.join(prefix + key for key in others)}")


def _profile_name(key: str) -> str:
    """A profile's name like the key: a key may be longer, and end in what a name may not."""
    return key[:PROFILE_LIMIT].strip("._-") or "found"
