"""The scripts of a host's Commands, and what they read on stdin, as plain texts."""

from collections.abc import Mapping, Sequence
from typing import Literal

import pulumi

from components.k3s_args import HostArgs, K3sClusterArgs
from k3sgpu.handoff.k3s_config import agent_config_file, config_text, server_config_file
from k3sgpu.hosts import scripts

Role = Literal["server", "agent"]


def converge_script(host: HostArgs, role: Role, args: K3sClusterArgs) -> str:
    """A script that makes the host the k3s node that the stack file describes."""
    server = role == "server"
    server_ip = args["servers"][0]["node_ip"]
    config = server_config_file(host, args) if server else agent_config_file(host, args, server_ip)
    return scripts.run_staged(
        "converge",
        host["name"],
        **_owner(host),
        ROLE=role,
        DATABASE=_database(host, args) if server else "",
        EXTERNAL_DATABASE="yes" if server and args["external_database"] else "",
        SERVERS=" ".join(one["node_ip"] for one in args["servers"] if one is not host) if server else "",
        VERSION=args["version"],
        TIMEOUT=args["start_timeout_seconds"],
        DRAIN_ON_PATCH="yes" if args["drain_on_patch"] else "",
        DRAIN_TIMEOUT=args["drain_timeout_seconds"],
        GENERATION=args["generation"],
        CONFIG=config_text(config),
    )


def uninstall_script(host: HostArgs) -> str:
    """A script that leaves the host as it was before k3s."""
    return scripts.render("run-uninstall", **_owner(host))


def drain_script(server: HostArgs, host: str) -> str:
    """A script for `server`: it moves the pods of `host` away."""
    return scripts.run_staged("drain", server["name"], HOST=host)


def delete_node_script(server: HostArgs, host: str, host_key: str = "") -> str:
    """A script for `server`: it deletes the Node of `host`.

    With a `host_key` only if the Node belongs to a dead machine with another one.
    """
    return scripts.run_staged("delete-node", server["name"], HOST=host, HOST_KEY=host_key)


def label_nodes_script(server: HostArgs, nodes: Sequence[HostArgs], generation: int) -> str:
    """A script for `server`: it sets the labels and taints of `nodes`."""
    return scripts.run_staged(
        "label-nodes",
        server["name"],
        HOST=server["name"],
        GENERATION=generation,
        WANTED="\n".join(_node_line(node) for node in nodes),
    )


def host_key(host: HostArgs) -> str:
    """The host's public key, which identifies the machine, without its comment."""
    return " ".join(str(host["connection"].get("host_key")).split()[:2])


def secrets_stdin(*parts: pulumi.Input[Mapping[str, pulumi.Input[str]]]) -> pulumi.Output[str]:
    """The stdin of converge, a secret: the secrets of all `parts`, by name."""

    def lines(known: Sequence[Mapping[str, str]]) -> str:
        return scripts.secret_lines(**{name: text for part in known for name, text in part.items()})

    return pulumi.Output.secret(pulumi.Output.all(*parts).apply(lines))


def node_bytes(host: HostArgs) -> int:
    """The size of a host in `label_nodes_script`."""
    return len(_node_line(host).encode()) + 1


def _node_line(host: HostArgs) -> str:
    """NODE|LABELS|TAINTS|HOST KEY, for label-nodes.sh; a taint without a value has an empty one."""
    labels = ",".join(f"{key}={value}" for key, value in sorted(host["labels"].items()))
    taints = ",".join(taint if "=" in taint else taint.replace(":", "=:") for taint in sorted(host["taints"]))
    return f"{host['name']}|{labels}|{taints}|{host_key(host)}"


def _owner(host: HostArgs) -> dict[str, str]:
    """The variables of the owner marker."""
    return {"PROJECT": pulumi.get_project(), "STACK": pulumi.get_stack(), "HOST": host["name"]}


def _database(host: HostArgs, args: K3sClusterArgs) -> str:
    """Where a server's database comes from: `own` (it is alone), `first` (others copy it), `copy`."""
    initial, *others = args["servers"]
    if host is not initial:
        return "copy"
    return "first" if others else "own"
