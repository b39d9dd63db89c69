"""The stage plan: what every host must have before a Command runs there. It holds no secret.

`python -m k3sgpu stage` carries a plan out: the scripts that Commands call, and the release of k3s.
pulumi-command's CopyToRemote would not do (its copyController.go): it writes with the login's rights, without
sudo; has no deadline; would send every host the files of both architectures; and sends nothing to a host that
was installed anew, because it compares with its own state alone.

The next run gets the plan back as its record (`write_record`), and contacts only hosts for which something
has changed.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from k3sgpu.handoff.environment import MAX_CHARACTERS
from k3sgpu.handoff.host_defaults import expand_hosts, hosts_json
from k3sgpu.handoff.inventory import HostEntry, Inventory, Owner, SshTarget
from k3sgpu.handoff.validation import validate
from k3sgpu.problem import InputError

if TYPE_CHECKING:
    from k3sgpu.settings import ReleaseFiles, Settings

LARGEST_RECORD = 16 * 1024 * 1024
"""Bytes of a record's JSON, so that a damaged text cannot fill the memory."""


class StageTarget(SshTarget):
    """A host that is staged."""

    role: str


class StagedRelease(TypedDict):
    """The release of k3s, where a host gets it from, and its checksums."""

    version: str
    mirror: str
    """On the host: https://… or file:///…."""
    scriptUrl: str
    scriptSha256: str
    """"": not pinned."""
    binarySha256: dict[str, str]
    """By architecture: amd64, arm64. Without one the release's own checksum file decides."""
    folder: str | None
    """The folder of this computer whose files are uploaded, relative to the project's folder as in the stack
    file; ~ is home. Null: the hosts download."""
    files: dict[str, dict[str, str]]
    """By architecture: the files to upload, name → SHA-256."""


class StagePlan(TypedDict):
    """What every host must have."""

    owner: Owner
    agent: bool
    """As in the inventory."""
    bastion: SshTarget | None
    hosts: list[StageTarget]
    """Sorted by name."""
    scripts: dict[str, dict[str, str]]
    """By role: script → SHA-256."""
    release: StagedRelease
    generation: int
    """k3s.generation of the stack file: raising it stages all hosts again."""


def build_stage_plan(
    settings: "Settings",
    files: "ReleaseFiles",
    inventory: Inventory,
    scripts: Mapping[str, Mapping[str, str]],
) -> StagePlan:
    """Builds the stage plan of a stack.

    `files` is what `settings.resolve_release_files` returned, `scripts` what `hosts.scripts.staged_hashes`
    did.
    """
    k3s = settings.k3s
    return {
        "owner": inventory["owner"],
        "agent": inventory["agent"],
        "bastion": inventory["bastion"],
        "hosts": stage_targets(inventory["hosts"]),
        "scripts": {role: dict(hashes) for role, hashes in scripts.items()},
        "release": {
            "version": k3s.version,
            "mirror": k3s.mirror,
            "scriptUrl": k3s.install_script_url,
            "scriptSha256": k3s.install_script_sha256 or "",
            "binarySha256": dict[str, str](k3s.binary_sha256.items()),
            "folder": f"{k3s.air_gap}/{k3s.version}" if k3s.air_gap else None,
            "files": {architecture: dict(hashes) for architecture, hashes in files.items()},
        },
        "generation": k3s.generation,
    }


def stage_targets(hosts: Sequence[HostEntry]) -> list[StageTarget]:
    """Only what staging needs of the hosts: a change of anything else must not repeat it."""
    keys = StageTarget.__required_keys__ | StageTarget.__optional_keys__
    targets: Any = [{key: value for key, value in host.items() if key in keys} for host in hosts]
    return targets


def stage_plan_json(plan: StagePlan) -> str:
    """The text from which `parse_stage_plan` reads the plan."""
    return hosts_json(plan)


def parse_stage_plan(data: object) -> StagePlan:
    """Checks a plan that came as JSON. Raises InputError with one line that names the place."""
    plan = validate(StagePlan, expand_hosts(data), "the stage plan")
    for host in plan["hosts"]:
        if host.get("jump") and not plan["bastion"]:
            raise InputError(f"the stage plan: host {host['name']} is behind a bastion, and bastion is null")
        if host["role"] not in plan["scripts"]:
            raise InputError(f"the stage plan: host {host['name']}: no scripts for the role {host['role']}")
    return plan


def write_record(plan: StagePlan) -> str:
    """The text from which `read_record` reads the plan; "" where it would be too long to be passed on."""
    text = base64.b64encode(zlib.compress(stage_plan_json(plan).encode(), 9)).decode()
    return text if len(text) <= MAX_CHARACTERS else ""


def read_record(text: str) -> StagePlan | None:
    """The plan that the last run carried out; None without one, or where another version wrote it."""
    try:
        decompressor = zlib.decompressobj()
        data = decompressor.decompress(base64.b64decode(text, validate=True), LARGEST_RECORD)
        return parse_stage_plan(json.loads(data)) if decompressor.eof else None
    except (binascii.Error, zlib.error, ValueError, InputError):
        return None


def hosts_to_stage(plan: StagePlan, before: StagePlan | None) -> list[StageTarget]:
    """The hosts for which something has changed since `before` was carried out."""
    if not before or any(plan[key] != before[key] for key in ("owner", "release", "generation")):
        return plan["hosts"]
    known = {host["name"]: host for host in before["hosts"]}
    return [
        host
        for host in plan["hosts"]
        if host != known.get(host["name"])
        or plan["scripts"][host["role"]] != before["scripts"].get(host["role"])
    ]


def removed_hosts(plan: StagePlan, before: StagePlan | None) -> list[StageTarget]:
    """The hosts of `before` that are no longer in the stack, as far as they can still be reached.

    A host behind a bastion that is gone is not among them.
    """
    names = {host["name"] for host in plan["hosts"]}
    hosts = before["hosts"] if before else []
    return [host for host in hosts if host["name"] not in names and (plan["bastion"] or not host.get("jump"))]
