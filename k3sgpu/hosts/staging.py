"""Stages hosts: marks them as the stack's, and puts scripts of Commands and the release of k3s there."""

import asyncio
import shlex
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from k3sgpu.handoff.inventory import BASTION, Owner, SshTarget
from k3sgpu.handoff.staging import StagedRelease, StagePlan, StageTarget
from k3sgpu.hosts import scripts
from k3sgpu.hosts.fleet import on_every_host
from k3sgpu.hosts.root_shell import MIB, RootShell, ScriptError
from k3sgpu.hosts.ssh import Failure, Login
from k3sgpu.hosts.ssh_errors import connection_problem
from k3sgpu.report import Report, as_text, names
from k3sgpu.timeouts import CLEAN_SECONDS, STAGE_PROGRESS_SECONDS, STAGE_SILENCE_SECONDS

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""uname -m → the name of the architecture in k3s's releases."""
MAX_CONNECTIONS = 500
"""Hosts that are staged at the same time: all of them wait for their downloads before an upgrade."""
MAX_UPLOADS = 16
"""Hosts that get a file at the same time: files that arrived are kept, so a few are finished first."""
MAX_MESSAGES = 20
"""Failures that are shown in full: often all hosts have the same."""
MAX_NAMED = 5
"""Hosts that a line of progress names."""

_STATES = {
    "installed": "is installed",
    "complete": "has arrived",
    "downloading": "is being downloaded",
}
"""What stage-host.sh prints about the release → words."""


@dataclass(frozen=True)
class Outcome:
    """What became of the hosts."""

    done: Mapping[str, str]
    """By name: what was done."""
    failures: Sequence[str]
    """A text for the user for each of the first failures; unreachable hosts share one."""

    def summary(self) -> list[str]:
        """A line for the hosts of which the same is true."""
        groups = defaultdict[str, list[str]](list)
        for name, text in self.done.items():
            groups[text].append(name)
        return [f"{names(hosts)}: {text}" for text, hosts in groups.items()]


async def stage_hosts(
    plan: StagePlan,
    hosts: Sequence[StageTarget],
    logins: Mapping[str, Login],
    environment: str,
    say: Callable[[str], None],
) -> Outcome:
    """Stages `hosts`, which are some of `plan`'s.

    `environment`: of k3s, with the proxy; a secret. `say` gets a line of progress now and then, while files
    are sent, or while hosts that run k3s download another release; those without k3s are not waited for.
    """
    staging = _Staging(plan, logins, environment)
    progress = asyncio.create_task(staging.report_progress(say))
    try:
        results = await on_every_host(hosts, logins, plan["bastion"], staging.stage, MAX_CONNECTIONS)
    finally:
        progress.cancel()
        with suppress(asyncio.CancelledError):
            await progress
    return _outcome("stage", results, hosts, plan["bastion"], logins)


async def clean_hosts(
    owner: Owner, hosts: Sequence[StageTarget], logins: Mapping[str, Login], bastion: SshTarget | None
) -> Outcome:
    """Removes what was staged from those of `hosts` on which k3s was never installed."""
    texts = {host["name"]: scripts.render("unstage-host", **_who(owner, host)) for host in hosts}
    return await _run_on_hosts(texts, "remove what was staged", hosts, logins, bastion)


async def release_hosts(
    owner: Owner,
    version: str,
    hosts: Sequence[StageTarget],
    logins: Mapping[str, Login],
    bastion: SshTarget | None,
) -> Outcome:
    """Takes `hosts` out of the program. Their k3s of `version` goes on, and notes there say how."""
    texts = {
        host["name"]: scripts.render("release-host", **_who(owner, host), ROLE=host["role"], VERSION=version)
        for host in hosts
    }
    return await _run_on_hosts(texts, "release", hosts, logins, bastion)


def _who(owner: Owner, host: SshTarget) -> dict[str, str]:
    return {"PROJECT": owner["project"], "STACK": owner["stack"], "HOST": host["name"]}


async def _run_on_hosts(
    texts: Mapping[str, str],
    title: str,
    hosts: Sequence[StageTarget],
    logins: Mapping[str, Login],
    bastion: SshTarget | None,
) -> Outcome:
    """Runs a script on each host, by name in `texts`. Its last line is what was done."""

    async def run(connection: asyncssh.SSHClientConnection, host: StageTarget) -> str | ScriptError:
        shell = RootShell(connection, host, logins[host["name"]].sudo_password)
        try:
            lines = await shell.run(texts[host["name"]], title, CLEAN_SECONDS)
        except ScriptError as error:
            return error
        return lines[-1].removeprefix(f"{host['name']}: ") if lines else "nothing said"

    results = await on_every_host(hosts, logins, bastion, run, MAX_CONNECTIONS)
    return _outcome(title, results, hosts, bastion, logins)


def _outcome(
    title: str,
    results: Mapping[str, str | ScriptError | Failure],
    hosts: Sequence[SshTarget],
    bastion: SshTarget | None,
    logins: Mapping[str, Login],
) -> Outcome:
    targets = {host["name"]: host for host in [*hosts, *([bastion] if bastion else [])]}
    unreached = {
        name: result
        for name, result in results.items()
        if isinstance(result, Failure) and result.kind != "bastion"
    }
    failures = _messages({name: str(one) for name, one in results.items() if isinstance(one, ScriptError)})
    if unreached:
        problems = [
            connection_problem(targets[name], failure, logins[name].public_key)
            for name, failure in unreached.items()
        ]
        behind = [name for name, one in results.items() if isinstance(one, Failure) and one.kind == "bastion"]
        notes = [f"not reached, without {BASTION}: {names(behind)}"] if behind else []
        subjects = {name: targets[name]["address"] for name in unreached}
        failures.append(as_text(Report(title, subjects, problems, notes)))
    return Outcome({name: result for name, result in results.items() if isinstance(result, str)}, failures)


def _messages(by_name: Mapping[str, str]) -> list[str]:
    """The first texts in full, and the names of the other hosts."""
    shown, others = list(by_name.values())[:MAX_MESSAGES], list(by_name)[MAX_MESSAGES:]
    return [*shown, f"and {len(others)} more hosts failed: {', '.join(others)}"] if others else shown


@dataclass
class _Staging:
    """One run over many hosts."""

    plan: StagePlan
    logins: Mapping[str, Login]
    environment: str
    awaited: dict[str, str] = field(default_factory=dict)
    """By host that has not all of the release: what has arrived, or what is sent."""
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_UPLOADS))

    async def stage(self, connection: asyncssh.SSHClientConnection, host: StageTarget) -> str | ScriptError:
        """Stages one host, and returns what was done."""
        shell = RootShell(connection, host, self.logins[host["name"]].sudo_password)
        try:
            return await self._stage(shell, host)
        except ScriptError as error:
            return error
        finally:
            self.awaited.pop(host["name"], None)

    async def _stage(self, shell: RootShell, host: StageTarget) -> str:
        release, name = self.plan["release"], host["name"]

        def note(line: str) -> None:
            word, _, rest = line.partition(" ")
            if word == "arrived":
                self.awaited[name] = rest

        secrets = scripts.secret_lines(ENVIRONMENT=self.environment) if self.environment else ""
        lines = await shell.run(
            self._script(host),
            "staging",
            STAGE_SILENCE_SECONDS,
            f"{secrets}--\n{_staged_files(host['role'])}",
            on_line=note,
        )
        values = {word: rest for word, _, rest in (line.partition(" ") for line in lines) if word != "file"}
        if values.get("release") == "uploading":
            present = [line.removeprefix("file ") for line in lines if line.startswith("file ")]
            state = await self._upload(shell, host, values.get("machine", ""), present)
        elif not (state := _STATES.get(values.get("release", ""), "")):
            last = lines[-1] if lines else "nothing"
            raise ScriptError(
                f"{name}: staging ended without a word about the release; its last line was {last}"
            )
        count = values.get("scripts", "0")
        number = {"0": "no new script", "1": "1 new script"}.get(count, f"{count} new scripts")
        return f"{number}; k3s {release['version']} {state}"

    def _script(self, host: StageTarget) -> str:
        owner, release = self.plan["owner"], self.plan["release"]
        uploads = sorted({name for files in release["files"].values() for name in files})
        return scripts.render(
            "stage-host",
            PROJECT=owner["project"],
            STACK=owner["stack"],
            HOST=host["name"],
            ROLE=host["role"],
            VERSION=release["version"],
            SOURCE=_source(release),
            UPLOADS=" ".join(uploads) if release["folder"] else "",
            ADOPT=host.get("adopt", ""),
        )

    async def _upload(self, shell: RootShell, host: StageTarget, machine: str, present: Sequence[str]) -> str:
        """Uploads the files that the host lacks; `present` are sha256sum's lines about those it has."""
        release = self.plan["release"]
        folder = Path(release["folder"] or "").expanduser()
        missing = _missing(release, host["name"], machine, present)
        variables = {"HOST": host["name"], "ROLE": host["role"], "VERSION": release["version"]}
        for name, sha256 in missing.items():
            script = scripts.render("receive-release", **variables, NAME=name, SHA256=sha256)
            self.awaited[host["name"]] = "waits for its turn"
            async with self.uploads:
                self.awaited[host["name"]] = f"sending {name}"
                await shell.run(script, name, STAGE_SILENCE_SECONDS, file=folder / name)
        script = scripts.render("receive-release", **variables, NAME="", SHA256="")
        await shell.run(script, "checking the release", STAGE_SILENCE_SECONDS)
        size = sum((folder / name).stat().st_size for name in missing)
        return f"uploaded: {', '.join(missing) or 'nothing'} ({size / MIB:.0f} MiB)"

    async def report_progress(self, say: Callable[[str], None]) -> None:
        """Says for how many hosts the run waits, until it is cancelled."""
        while True:
            await asyncio.sleep(STAGE_PROGRESS_SECONDS)
            if self.awaited:
                shown = [f"{name} ({words})" for name, words in sorted(self.awaited.items())][:MAX_NAMED]
                more = " …" if len(self.awaited) > MAX_NAMED else ""
                count = f"{len(self.awaited)} {'host' if len(self.awaited) == 1 else 'hosts'}"
                version = self.plan["release"]["version"]
                say(f"waiting for k3s {version} on {count}: {', '.join(shown)}{more}")


def _staged_files(role: str) -> str:
    """The scripts of a role, as stage-host.sh reads them."""
    return "".join(_staged_file(name) for name in scripts.STAGED[role])


def _staged_file(script: str) -> str:
    name = "clean" if script == scripts.UNINSTALL else script
    return f"-- {name}-{scripts.staged_sha256(script)}\n{scripts.staged_text(script)}"


def _source(release: StagedRelease) -> str:
    """Where a host gets the release from, as assignments for sh."""
    values = {
        "MIRROR": release["mirror"],
        "SCRIPT_URL": release["scriptUrl"],
        "SCRIPT_SHA256": release["scriptSha256"],
        "BINARY_SHA256_AMD64": release["binarySha256"].get("amd64", ""),
        "BINARY_SHA256_ARM64": release["binarySha256"].get("arm64", ""),
    }
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items())


def _missing(release: StagedRelease, host: str, machine: str, present: Sequence[str]) -> dict[str, str]:
    """The files that the host lacks (name → SHA-256)."""
    files = release["files"]
    wanted = files.get(ARCHITECTURES.get(machine, ""))
    if wanted is None:
        raise ScriptError(
            f"{host}: a machine of {machine}, and {release['folder']} has the release for "
            f"{' and '.join(sorted(files))}\n"
            "  remedy: put the binary for it there as well (k3s for x86_64, k3s-arm64 for aarch64)"
        )
    known = {Path(path).name: sha256 for sha256, _, path in (line.partition("  ") for line in present)}
    return {name: sha256 for name, sha256 in sorted(wanted.items()) if known.get(name) != sha256}
