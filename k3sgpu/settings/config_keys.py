"""The keys below `config:`: which belong to this project, and which only seem to belong to another one.

Source: Pulumi's ParseKey in sdk/go/common/resource/config/key.go, and stackConfigNamespacedWithProject in
sdk/go/common/workspace/loaders.go, which puts the project's name before a key without a colon.
"""

import difflib
from collections.abc import Iterable

from k3sgpu.foreign_text import escape
from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.model_paths import fields
from k3sgpu.settings.models.sections import SECRET_KEYS, Sections
from k3sgpu.settings.pydantic_errors import nearest
from k3sgpu.wellknown import PROJECT

NAMESPACE = f"{PROJECT}:"
"""The prefix of this project's keys."""
SIMILAR = 0.6
"""The similarity (difflib's ratio) from which a namespace counts as this project's, mistyped."""
PROVIDERS_OWN = frozenset({"kubernetes:kubeconfig"})
"""Keys of Pulumi's providers that are named as a section of ours."""

_OURS = (*fields(Sections), *SECRET_KEYS)


def misplaced(keys: Iterable[str]) -> list[Problem]:
    """A problem for each key that Pulumi would not hand to this program, or not under this name."""
    return [problem for key in keys if (problem := _problem(key))]


def check_config_keys(keys: Iterable[str]) -> None:
    """Raises SettingsError for keys that `misplaced` finds. The engine hands over those of all namespaces."""
    if problems := misplaced(keys):
        raise SettingsError(problems)


def _problem(key: str) -> Problem | None:
    namespace, _, name = key.rpartition(":")
    if namespace == PROJECT and name:
        return None
    if not namespace and ":" not in key:
        return _refused(key, "a key without a namespace", nearest(name, _OURS) or name)
    namespace, has_module = namespace.removesuffix(":config"), namespace.endswith(":config")
    if ":" in namespace or (namespace == PROJECT and not has_module):
        return _refused(key, "a key that Pulumi cannot read", nearest(name, _OURS) or name or "KEY")
    if _seems_ours(namespace, name):
        return _refused(key, "a key of another namespace, which this project never sees", name)
    return None


def _seems_ours(namespace: str, name: str) -> bool:
    if f"{namespace}:{name}" in PROVIDERS_OWN:
        return False
    return name in _OURS or difflib.SequenceMatcher(None, namespace.lower(), PROJECT).ratio() >= SIMILAR


def _refused(key: str, found: str, name: str) -> Problem:
    return Problem(
        f"config.{escape(key)}",
        found,
        f"keys of this project, which begin with {NAMESPACE}",
        f"write {NAMESPACE}{escape(name)}",
    )
