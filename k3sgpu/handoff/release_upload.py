"""Brings k3s's release from this computer to machines that have no way out.

`python -m k3sgpu stage` sends one machine what it lacks; the Pulumi program says what that is with
`told`. Not
pulumi-command's CopyToRemote (its copyController.go): that writes as the login may, without sudo; it has no
deadline; it would send every machine the files of both architectures; and it sends nothing to a machine that
came back empty, because it looks at its own state alone.
"""

import json
from collections.abc import Mapping
from typing import Any

from k3sgpu.settings import ReleaseFiles, Settings

_WAY = ("name", "role", "address", "port", "user", "hostKey", "knownHostsFile", "privateKeyFile", "jump")


def build_upload_plans(
    settings: Settings, files: ReleaseFiles, inventory: Mapping[str, Any]
) -> dict[str, str]:
    """By host, what `python -m k3sgpu stage` is told, as JSON without secrets.

    `files`: by architecture, the release's files with their SHA-256; without any nobody is brought anything.
    `inventory`: doctor's, of which the way to a machine is taken.
    """
    if not files:
        return {}
    k3s = settings.k3s
    release = {"folder": f"{k3s.air_gap}/{k3s.version}", "version": k3s.version, "files": files}
    common = {key: inventory[key] for key in ("owner", "agent", "bastion")}
    return {
        host["name"]: json.dumps(
            {
                **common,
                "release": release,
                "host": {key: host[key] for key in (*_WAY, "sudoPassword")},
                "generation": k3s.generation,
            },
            sort_keys=True,
        )
        for host in inventory["hosts"]
    }
