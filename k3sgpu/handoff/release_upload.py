"""The upload plan: which files of k3s's release a host must get from this computer. It holds no secret.

`python -m k3sgpu stage` carries a plan out; it is for hosts that cannot download (k3s.airGap). It is not
pulumi-command's CopyToRemote (its copyController.go), which writes with the login's rights, without sudo; has
no deadline; would send every host the files of both architectures; and sends nothing to a host that was
installed anew, because it compares with its own state alone.
"""

from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from k3sgpu.handoff.inventory import HostEntry, Inventory, Owner, SshTarget
from k3sgpu.handoff.validation import validate

if TYPE_CHECKING:
    from k3sgpu.settings import ReleaseFiles, Settings


class Release(TypedDict):
    """The files of one k3s release in a folder of this computer."""

    folder: str
    """Relative to the project's folder, as in the stack file; ~ is home."""
    version: str
    files: dict[str, dict[str, str]]
    """By architecture (amd64, arm64): file name → SHA-256."""


class UploadTarget(SshTarget):
    """The host that gets the files."""

    role: str


class UploadPlan(TypedDict):
    """What one host must have."""

    owner: Owner
    agent: bool
    """As in the inventory."""
    bastion: SshTarget | None
    release: Release
    host: UploadTarget
    generation: int
    """k3s.generation of the stack file: raising it repeats the upload."""


def build_upload_plans(
    settings: "Settings", files: "ReleaseFiles", inventory: Inventory
) -> dict[str, UploadPlan]:
    """By host name, the plan of its upload; no plan when `files` is empty.

    `files` is what `settings.resolve_release_files` returned.
    """
    if not files:
        return {}
    k3s = settings.k3s
    release: Release = {
        "folder": f"{k3s.air_gap}/{k3s.version}",
        "version": k3s.version,
        "files": {architecture: dict(hashes) for architecture, hashes in files.items()},
    }
    return {
        host["name"]: {
            "owner": inventory["owner"],
            "agent": inventory["agent"],
            "bastion": inventory["bastion"],
            "release": release,
            "host": _upload_target(host),
            "generation": k3s.generation,
        }
        for host in inventory["hosts"]
    }


def _upload_target(host: HostEntry) -> UploadTarget:
    """Only what the upload needs: a change of anything else must not repeat it."""
    keys = UploadTarget.__required_keys__ | UploadTarget.__optional_keys__
    target: Any = {key: value for key, value in host.items() if key in keys}
    return target


def parse_upload_plan(data: object) -> UploadPlan:
    """Checks a plan that came as JSON. Raises InputError with one line that names the place."""
    return validate(UploadPlan, data, "the upload plan")
