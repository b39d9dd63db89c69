"""The stack file, and the files that it names, read and checked before anything is registered.

Every function raises pulumi.RunError with all mistakes that it finds.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pulumi

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.problem import render

Secrets = Mapping[str, pulumi.Output[str]]


def read_settings(config: pulumi.Config, folder: Path) -> s.Settings:
    """The stack's settings. A path of a chart is relative to `folder`."""
    prefix = f"{config.name}:"
    # pulumi.Config cannot list its keys, and a mistyped key must not be ignored.
    everything = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    keys = {key.removeprefix(prefix) for key in everything if key.startswith(prefix)}
    secrets = {key for key in keys if pulumi.runtime.is_config_secret(prefix + key)}
    plain = {key: _value(config.require(key)) for key in sorted(keys - secrets)}
    with _settings_errors():
        s.check_config_keys(sorted(everything))
        settings = s.parse(plain, secrets)
        s.check_secrets({key: everything[prefix + key] for key in secrets})
        s.check_local_chart(settings, folder)
    return settings


def read_secrets(config: pulumi.Config, settings: s.Settings) -> Secrets:
    """By name: the secret keys that are set."""
    return {name: config.require_secret(name) for name in sorted(settings.secrets)}


def ssh_access(settings: s.Settings, folder: Path) -> Mapping[str, s.SshAccess]:
    """By host: the private key and the host key. Paths are relative to `folder`."""
    with _settings_errors():
        return s.resolve_ssh(settings, folder)


def release_files(settings: s.Settings, folder: Path) -> s.ReleaseFiles:
    """k3s's release on this computer (k3s.airGap), if any. Paths are relative to `folder`."""
    with _settings_errors():
        return s.resolve_release_files(settings, folder)


def existing_kubeconfig(config: pulumi.Config, settings: s.Settings, folder: Path) -> str:
    """The kubeconfig of an existing cluster. Paths are relative to `folder`."""
    # The plain text and not an Output, so that a mistake in it is reported before anything is registered.
    secret = pulumi.runtime.get_config(f"{config.name}:clusterKubeconfig")
    with _settings_errors():
        return s.resolve_kubeconfig(settings, folder, secret)


def report_fit(fit: capacity.Fit) -> None:
    """Prints the slice map. Raises pulumi.RunError when the workloads do not fit and that is enforced."""
    pulumi.log.info(capacity.render_slice_map(fit))
    if any(problem.severity == "error" for problem in fit.problems):
        raise pulumi.RunError(render(fit.problems))
    if fit.problems:
        pulumi.log.warn(render(fit.problems))


@contextlib.contextmanager
def _settings_errors() -> Iterator[None]:
    """Raises SettingsError as pulumi.RunError, which Pulumi prints without a traceback."""
    try:
        yield
    except s.SettingsError as error:
        raise pulumi.RunError(str(error)) from None


def _value(text: str) -> object:
    """A value of the configuration: the engine passes objects as JSON, and plain strings as they are."""
    try:
        return json.loads(text)
    except ValueError:
        return text
