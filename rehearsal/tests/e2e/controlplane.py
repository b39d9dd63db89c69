"""A bare control plane on loopback: kine (sqlite), kube-apiserver, kube-controller-manager, kube-scheduler.

For tests that need a real API server and no machines. No kubelet: pods stay as the test leaves them.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncssh
import httpx2
import yaml

# Folder of built programs that takes the place of the rehearsal's own toolbox.
BINARIES_VARIABLE: Final = "K3SGPU_BIN"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.1


class Missing(Exception):
    """A binary that is not there; the text says where it was looked for."""


def binaries(folder: Path, *names: str) -> dict[str, Path]:
    """Paths of the named programs in `folder`. Raises Missing."""
    for name in names:
        if shutil.which(name, path=str(folder)) is None:
            raise Missing(f"{name} is not in {folder}: expected the folder of the rehearsal's built programs")
    return {name: folder / name for name in names}


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane. `kubeconfig` is the text of an administrator's."""

    server: str
    token: str
    authority: str
    kubeconfig: str

    def client(self, timeout_seconds: float = 10.0) -> httpx2.Client:
        """An administrator's HTTP client."""
        context = ssl.create_default_context(cadata=self.authority)
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx2.Client(
            base_url=self.server, verify=context, headers=headers, timeout=timeout_seconds, trust_env=False
        )


@contextmanager
def control_plane(
    folder: Path, programs: Path, *, scheduler: bool = False, flags: Mapping[str, Sequence[str]] | None = None
) -> Iterator[ControlPlane]:
    """Starts the control plane in folder `programs` with its data, keys and logs in `folder`, and ends it.

    `flags` are more of them, by program.

    Raises Missing without the binaries, TimeoutError with the end of the log when it does not become ready.
    """
    names = ["kine", "kube-apiserver", "kube-controller-manager", *(["kube-scheduler"] if scheduler else [])]
    paths = binaries(programs, *names)
    token = secrets.token_hex(16)
    _write_private(folder / "tokens.csv", f'{token},admin,admin,"system:masters"\n')
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    _write_private(folder / "service-account.key", key.export_private_key("pkcs1-pem").decode())
    processes: list[subprocess.Popen[bytes]] = []
    try:
        datastore, port = _free_port(), _free_port()
        processes.append(_start(folder, paths["kine"], _kine(folder, datastore)))
        _wait_for_port(datastore, folder / "kine.log")
        more = flags or {}
        arguments = [*_apiserver(folder, port, datastore), *more.get("kube-apiserver", ())]
        processes.append(_start(folder, paths["kube-apiserver"], arguments))
        running = _describe(folder, port, token)
        _wait_until_ready(running, folder / "kube-apiserver.log")
        kubeconfig = folder / "kubeconfig"
        _write_private(kubeconfig, running.kubeconfig)
        ours = [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]
        keys = [f"--service-account-private-key-file={folder / 'service-account.key'}"]
        authority = [f"--root-ca-file={folder / 'certificates/apiserver.crt'}"]
        manager = [*ours, *keys, *authority, *more.get("kube-controller-manager", ())]
        processes.append(_start(folder, paths["kube-controller-manager"], manager))
        if scheduler:
            arguments = [*ours, *more.get("kube-scheduler", ())]
            processes.append(_start(folder, paths["kube-scheduler"], arguments))
        yield running
    finally:
        _stop(processes)


def _kine(folder: Path, port: int) -> list[str]:
    database = folder / "state.db"
    return [
        f"--endpoint=sqlite://{database}?_journal=WAL&cache=shared&_busy_timeout=30000",
        f"--listen-address=127.0.0.1:{port}",
        "--metrics-bind-address=0",
    ]


def _apiserver(folder: Path, port: int, datastore: int) -> list[str]:
    key = folder / "service-account.key"
    return [
        f"--etcd-servers=http://127.0.0.1:{datastore}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.78.0.0/24",
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
    ]


def _start(folder: Path, program: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    with (folder / f"{program.name}.log").open("wb") as log:
        # NOTIFY_SOCKET: the API server reports to systemd by itself where there is one.
        environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
        return subprocess.Popen(
            [program, *arguments], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Latest first; what does not end in time is killed (kine and the API server wait for each other)."""
    for process in reversed(processes):
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in reversed(processes):
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _describe(folder: Path, port: int, token: str) -> ControlPlane:
    certificate = folder / "certificates/apiserver.crt"
    _wait_for_file(certificate, folder / "kube-apiserver.log")
    authority = certificate.read_text()
    server = f"https://127.0.0.1:{port}"
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "test", "cluster": {"server": server, "certificate-authority-data": _b64(authority)}}
        ],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    }
    return ControlPlane(server, token, authority, yaml.safe_dump(document))


def _wait_until_ready(running: ControlPlane, log: Path) -> None:
    last = "no answer"
    deadline = time.monotonic() + START_SECONDS
    with running.client() as client:
        while time.monotonic() < deadline:
            try:
                answer = client.get("/readyz")
                if answer.status_code == 200:
                    return
                last = answer.text[-500:]
            except httpx2.HTTPError as error:
                last = str(error)
            time.sleep(POLL_SECONDS)
    raise TimeoutError(f"the API server was not ready after {START_SECONDS:.0f} s: {last}\n{_tail(log)}")


def _wait_for_port(port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(POLL_SECONDS)
    raise TimeoutError(f"nothing listens on port {port} after {START_SECONDS:.0f} s\n{_tail(log)}")


def _wait_for_file(path: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} was not written within {START_SECONDS:.0f} s\n{_tail(log)}")
        time.sleep(POLL_SECONDS)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
