"""Another installer of k3s over SSH, on the same machines with the same artefacts: `make bench PEER=path`.

The program at `path` is called without arguments, in a folder that is empty at first and stays the same for
one cluster. When it ends with exit status 0, the named machines are nodes of one cluster. It is called on
bare machines (part a), again with nothing changed (b), and with one more agent (c). Its environment:

    PEER_SERVERS, PEER_AGENTS   name=address, separated by blanks; the first server is the initial one
    PEER_USER, PEER_KEY         the login, which is root, and the file of its private key
    PEER_KNOWN_HOSTS            a file with every machine's host key
    PEER_VERSION                of k3s
    PEER_RELEASE                a folder on this computer: k3s, install.sh, sha256sum-amd64.txt
    PEER_REMOTE_RELEASE         the same folder as the machines see it

The names become the nodes' names. The measured time ends when every node is Ready.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.bench.bench_stack import AGENTS, SERVERS, BenchStack
from rehearsal.lab import identity, ssh
from rehearsal.process import RehearsalError

LIMIT_SECONDS = 900
READY_SECONDS = 120
NODES = "k3s kubectl --request-timeout=10s get nodes --output json"


@dataclass(frozen=True)
class Peer:
    """The program and its working folder."""

    program: Path
    folder: Path

    @classmethod
    def in_empty_folder(cls, program: Path, stack: BenchStack) -> "Peer":
        """A peer for a new cluster, with an empty working folder."""
        folder = stack.stack.folder / "peer"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return cls(program, folder)

    def install(self, stack: BenchStack) -> float:
        """Runs the program and returns the seconds until every machine is a Ready node. Raises
        RehearsalError.
        """
        began = time.perf_counter()
        try:
            done = subprocess.run(
                [self.program.resolve()],
                cwd=self.folder,
                env={**os.environ, **environment(stack)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RehearsalError(f"PEER {self.program}: {error}") from None
        if done.returncode:
            raise RehearsalError(
                f"PEER {self.program} ended with exit status {done.returncode}:\n{done.stderr[-2000:]}"
            )
        wait_for_nodes(stack)
        return time.perf_counter() - began


def environment(stack: BenchStack) -> dict[str, str]:
    """The environment of a peer, as the module describes it."""
    pools, version = stack.config["pools"], stack.config["k3s"]["version"]
    state = stack.stack.state
    return {
        "PEER_SERVERS": _pairs(pools[SERVERS]["hosts"]),
        "PEER_AGENTS": _pairs(pools.get(AGENTS, {"hosts": {}})["hosts"]),
        "PEER_USER": "root",
        "PEER_KEY": str(identity.private_key(state)),
        "PEER_KNOWN_HOSTS": str(identity.known_hosts(state)),
        "PEER_VERSION": version,
        "PEER_RELEASE": str(stack.tools.releases / version),
        "PEER_REMOTE_RELEASE": f"/opt/standin/release/{version}",
    }


def wait_for_nodes(stack: BenchStack) -> None:
    """Waits until every machine is a Ready node. Raises RehearsalError with the ones that are not."""
    first = stack.machines[next(iter(stack.config["pools"][SERVERS]["hosts"]))]
    deadline = time.monotonic() + READY_SECONDS
    while missing := sorted(stack.machines.keys() - ready(ssh.run(first, NODES))):
        if time.monotonic() > deadline:
            raise RehearsalError(f"PEER: after {READY_SECONDS} s not Ready: {', '.join(missing)}")
        time.sleep(0.2)


def ready(nodes: str) -> set[str]:
    """The names of the Ready nodes in kubectl's JSON."""
    return {
        node["metadata"]["name"]
        for node in json.loads(nodes)["items"]
        if any((one["type"], one["status"]) == ("Ready", "True") for one in node["status"]["conditions"])
    }


def _pairs(hosts: Mapping[str, str]) -> str:
    return " ".join(f"{name}={address}" for name, address in hosts.items())
