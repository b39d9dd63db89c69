"""`python -m rehearsal.proof.bundle`: all that a proof needs, for a machine with a card and no network.

The result is a folder with `run.sh` and pieces of at most 57 MiB, which hold:

    box/                    a root file system with the commands that run machines and with Python's packages
    box/opt/tools           the engine, Helm, the machines' root file system and the folder that machines see
    box/opt/k3s-gpu-sharing this project
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rehearsal.lab.engine import ROOT
from rehearsal.process import RehearsalError, run
from rehearsal.progress import Progress
from rehearsal.toolchain import cache, rootfs, toolbox

BUNDLE = ROOT / ".bundle"
START = Path(__file__).parent / "run.sh"
PIECE_BYTES = 57 << 20
BOX = PurePosixPath("box")
PROJECT = PurePosixPath("opt/k3s-gpu-sharing")
TOOLS = PurePosixPath("opt/tools")
PRESET = 6  # of xz: 1 is several times as fast, and makes the bundle a fifth larger
# The image archives and programs hold the same content several times, some of it 100 MB apart.
DICTIONARY_BYTES = 128 << 20
# Files of the root file systems and of the packages that nothing needs.
SKIPPED = ("__pycache__", "debugpy")
# Below /opt/standin: for simulated nodes, and for several servers.
NOT_NEEDED = ("bin/kwok", "bin/etcd")
OWN_FOLDERS = ("release", "nvml")
OWN_PROGRAMS = ("bin/gpusim", "images/gpu-operator.tar", "images/card-test.tar")
COMMANDS = ("pulumi", "helm")
SHARED_BYTES = 4096  # from which on equal files of an archive become one file with several names
PIP_SECONDS = 300
GIT_SECONDS = 20


Tree = tuple[Path, PurePosixPath]


@dataclass(frozen=True)
class Part:
    """What becomes one archive: folders or files, each with its place in the unpacked bundle.

    A part that is not `kept` in the cache changes with each edit of the project.
    """

    name: str
    trees: Sequence[Tree]
    preset: int
    kept: bool = True


def main() -> int:
    """Returns 0, or 1 after printing on stderr what failed."""
    parser = argparse.ArgumentParser(prog="bundle", description=__doc__)
    parser.add_argument("--to", type=Path, default=BUNDLE, help="the folder of the bundle (.bundle)")
    parser.add_argument("--preset", type=int, default=PRESET, help=f"of xz, 0 to 9 ({PRESET})")
    arguments = parser.parse_args()
    try:
        pieces = make(arguments.to, arguments.preset, Progress())
    except RehearsalError as error:
        print(error, file=sys.stderr)
        return 1
    for piece in pieces:
        print(f"{piece}  {piece.stat().st_size / (1 << 20):.1f} MiB")
    print(f"copy {arguments.to} to a machine with a card, and there as root: sh run.sh")
    return 0


def make(to: Path, preset: int, progress: Progress) -> list[Path]:
    """Writes the bundle into `to`, and returns its pieces. Raises RehearsalError when a part is missing."""
    tools = toolbox.prepare(progress, real_nodes=True)
    box = rootfs.prepare_tool_box(progress)
    # One run at a time: each removes what the last one has packed of a part that differs now.
    with (
        cache.lock(cache.folder() / "bundle.lock", progress, "the bundle"),
        tempfile.TemporaryDirectory() as folder,
    ):
        scratch = Path(folder)
        parts = list_parts(tools, box, scratch, preset, progress)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            archives = list(pool.map(lambda part: packed(part, scratch, progress), parts))
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir(parents=True)
        pieces = split(archives, to)
    shutil.copy2(START, to)
    lines = [f"{hashlib.sha256(piece.read_bytes()).hexdigest()}  {piece.name}\n" for piece in pieces]
    (to / "sha256").write_text("".join(lines))
    return pieces


def list_parts(tools: toolbox.Tools, box: Path, scratch: Path, preset: int, progress: Progress) -> list[Part]:
    """What goes into the bundle. Files that are made for it are written into `scratch`."""
    places = places_of_tools()
    write_tools(scratch / "tools.json", tools.pulumi_origin)
    listed = run(["git", "ls-files", "-z"], timeout=GIT_SECONDS, cwd=ROOT).split("\0")
    python = PurePosixPath(f"usr/local/lib/{python_of(box)}/dist-packages")
    own, others = programs(tools.standin.resolve(), places["standin"])
    project = [(scratch / "tools.json", BOX / TOOLS / "tools.json")]
    project += [(ROOT / name, BOX / PROJECT / name) for name in listed if (ROOT / name).is_file()]
    # What changes comes last, so that a new bundle differs in its last pieces only.
    return [
        Part("system", [(box, BOX), (tools.rootfs, places["rootfs"])], preset),
        Part("python", [(packages(box, progress), BOX / python)], preset),
        Part("engine", [(getattr(tools, name).resolve(), places[name]) for name in COMMANDS], preset),
        Part("programs", others, preset),
        Part("own-programs", own, preset),
        Part("project", project, preset, kept=False),
    ]


def programs(standin: Path, place: PurePosixPath) -> tuple[list[Tree], list[Tree]]:
    """What machines see at /opt/standin: what is built of this project's own sources, and the rest."""
    own: list[Tree] = []
    others: list[Tree] = []
    for path in sorted(path for folder in standin.iterdir() for path in folder.iterdir()):
        name = path.relative_to(standin)
        if str(name) not in NOT_NEEDED:
            mine = name.parts[0] in OWN_FOLDERS or str(name) in OWN_PROGRAMS
            (own if mine else others).append((path, place / name))
    return own, others


def places_of_tools() -> dict[str, PurePosixPath]:
    """Where the unpacked bundle has each path of toolbox.Tools."""
    return {name: BOX / TOOLS / name for name in (*COMMANDS, "rootfs", "standin")}


def write_tools(path: Path, origin: str) -> None:
    """Writes the file by which toolbox finds the tools of a bundle; `origin` is that of the engine."""
    files = {name: f"/{place.relative_to(BOX)}" for name, place in places_of_tools().items()}
    path.write_text(json.dumps({**files, "pulumi_origin": origin}, indent=1))


def python_of(box: Path) -> str:
    """The name of the Python in a root file system: "python3.11"."""
    found = sorted(path.name for path in (box / "usr/lib").glob("python3.*"))
    if len(found) != 1:
        raise RehearsalError(f"{box}/usr/lib: found {found or 'no python3.*'}, expected one Python")
    return found[0]


def packages(box: Path, progress: Progress) -> Path:
    """The folder with the program's packages for the Python in `box`, from the cache or fetched now."""
    locked, version = ROOT / "requirements.txt", python_of(box).removeprefix("python")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    options = ["--require-hashes", "--only-binary=:all:", "--python-version", version]

    def fetch(place: Path) -> None:
        run([*pip, *options, "--target", place, "-r", locked], timeout=PIP_SECONDS)

    key = cache.digest(locked.read_bytes(), version)
    return cache.entry("bundle-packages", key, fetch, progress, f"fetching packages for Python {version}", 30)


def packed(part: Part, scratch: Path, progress: Progress) -> Path:
    """The archive of `part`, from the cache or packed now; older ones of this part leave the cache."""
    name = f"{part.name}.tar.xz"
    if not part.kept:
        write_archive(part, scratch / name)
        return scratch / name
    entry = f"bundle-{part.name}"
    place = cache.entry(
        entry,
        key(part),
        lambda place: write_archive(part, place / name),
        progress,
        f"packing {part.name} for the bundle",
        60,
    )
    for older in cache.folder().glob(f"{entry}-*"):
        if older != place:
            cache.remove_tree(older)
    return place / name


def key(part: Part) -> str:
    """A hash of the names, modes and contents of all files of `part`."""
    return cache.digest(str(part.preset), *(describe(path, name) for path, name in files_of(part)))


def describe(path: Path, name: PurePosixPath) -> str:
    """What an archive has of a file: its name and mode, and its content or where it links to."""
    content = ""
    if path.is_symlink():
        content = str(path.readlink())
    elif path.is_file():
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{name} {path.lstat().st_mode} {content}"


def files_of(part: Part) -> list[Tree]:
    """The files and folders of `part` with their places: folders first, then alike names side by side."""
    found = []
    for source, place in part.trees:
        found.append((source, place))
        if source.is_dir() and not source.is_symlink():
            for folder, below, names in os.walk(source):
                below[:] = [name for name in below if name not in SKIPPED]
                where = place / Path(folder).relative_to(source)
                found += [(Path(folder, name), where / name) for name in [*below, *names]]
    return sorted(
        found, key=lambda item: (not is_folder(item[0]), is_folder(item[0]) or item[1].name, item[1])
    )


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def write_archive(part: Part, target: Path) -> None:
    """Packs `part` into `target`; a file that it holds twice becomes one file with two names."""
    names: dict[tuple[str, int, int, int], str] = {}
    filters = [{"id": lzma.FILTER_LZMA2, "preset": part.preset, "dict_size": DICTIONARY_BYTES}]
    with (
        lzma.open(target, "wb", filters=filters) as packer,
        tarfile.open(fileobj=packer, mode="w|", format=tarfile.GNU_FORMAT) as archive,
    ):
        for path, place in files_of(part):
            entry = archive.gettarinfo(path, str(place))
            entry.uname = entry.gname = ""  # ids count: the other machine has other names
            if not path.is_file() or path.is_symlink():
                archive.addfile(entry)
                continue
            # gettarinfo makes a link of a file with several names that it has met before.
            entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
            content = path.read_bytes()
            same = (hashlib.sha256(content).hexdigest(), entry.mode, entry.uid, entry.gid)
            if entry.size >= SHARED_BYTES and same in names:
                entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, names[same], 0
                archive.addfile(entry)
            else:
                names[same] = entry.name
                archive.addfile(entry, io.BytesIO(content))


def split(archives: Sequence[Path], to: Path) -> list[Path]:
    """Writes `archives` into one archive that lies in pieces, proof.00 and so on, in the folder `to`."""
    whole = to / "whole"
    with tarfile.open(whole, "w") as archive:
        for path in archives:
            archive.add(path, path.name)
    pieces = []
    with whole.open("rb") as stream:
        while content := stream.read(PIECE_BYTES):
            pieces.append(to / f"proof.{len(pieces):02}")
            pieces[-1].write_bytes(content)
    whole.unlink()
    return pieces


if __name__ == "__main__":
    sys.exit(main())
