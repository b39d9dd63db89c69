"""Other installers of k3s over SSH, on the same machines: `make bench PEER=name=path,name=path`.

The program at `path` is called without arguments, in a folder that is empty at first and stays the same for
one cluster. When it ends with exit status 0, the named machines are nodes of one cluster, or will be by
themselves. It is called on bare machines (part a), and again with nothing changed (b). The machines download
from where k3s's releases are: those names lead to the bench's mirror there. They have Python. The program's
environment:

    PEER_SERVERS, PEER_AGENTS   name=address, separated by blanks; the first server is the initial one
    PEER_USER, PEER_KEY         the login, which is root, and the file of its private key
    PEER_KNOWN_HOSTS            a file with every machine's host key
    PEER_VERSION                of k3s

The names become the nodes' names. The measured time ends when every node is Ready. `peers/` has programs that
call k3sup and k3s-ansible.
"""

import argparse
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


def parse_peers(text: str) -> dict[str, Path]:
    """Programs by name, from `name=path,name=path`. Raises argparse.ArgumentTypeError."""
    pairs = [one.partition("=") for one in text.split(",") if one]
    if not all(name and path for name, _, path in pairs):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected name=path,name=path")
    return {name: Path(path).resolve() for name, _, path in pairs}


@dataclass(frozen=True)
class Peer:
    """A program and its working folder for one cluster."""

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
                [self.program],
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
                f"PEER {self.program} ended with exit status {done.returncode}:\n"
                f"{done.stdout[-3000:]}{done.stderr[-2000:]}"
            )
        wait_for_nodes(stack)
        return time.perf_counter() - began


def environment(stack: BenchStack) -> dict[str, str]:
    """The environment of a peer, as the module describes it."""
    pools, state = stack.config["pools"], stack.stack.state
    return {
        "PEER_SERVERS": _pairs(pools[SERVERS]["hosts"]),
        "PEER_AGENTS": _pairs(pools.get(AGENTS, {"hosts": {}})["hosts"]),
        "PEER_USER": "root",
        "PEER_KEY": str(identity.private_key(state)),
        "PEER_KNOWN_HOSTS": str(identity.known_hosts(state)),
        "PEER_VERSION": stack.config["k3s"]["version"],
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
