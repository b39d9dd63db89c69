"""Building the rehearsal's C programs."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from rehearsal.process import RehearsalError, run
from rehearsal.progress import Progress
from rehearsal.toolchain import cache

REHEARSAL = Path(__file__).resolve().parents[1]
BUILD_SECONDS = 120
QUERY_SECONDS = 30
WARNINGS = ("-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True)
class CProgram:
    """What to build of the C files in `folder`, `sources` by name or all of them: the file `output`."""

    output: str
    folder: Path
    sources: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def files(self) -> list[Path]:
        """The C files to compile."""
        return [self.folder / name for name in self.sources] or sorted(self.folder.glob("*.c"))


PAUSE = CProgram("pause", REHEARSAL / "simulators" / "pause", flags=("-static",))
CARD_PROGRAMS = REHEARSAL / "proof" / "programs"


def card_programs() -> list[CProgram]:
    """The programs that compute on a card, one for each C file. They load CUDA's driver when they start."""
    files = sorted(CARD_PROGRAMS.glob("*.c"))
    return [CProgram(path.stem, CARD_PROGRAMS, (path.name,), ("-ldl", "-lpthread")) for path in files]


def build(program: CProgram, progress: Progress) -> Path:
    """The file that `program` becomes, from the cache or built now."""
    if not program.files:
        raise RehearsalError(
            f"{program.folder}: found no C file, expected the sources of {program.output}; "
            "restore them from git"
        )
    version = run(["gcc", "-dumpfullversion"], timeout=QUERY_SECONDS).strip()
    key = cache.digest(
        version,
        platform.machine(),
        program.output,
        *program.sources,
        *program.flags,
        cache.digest_of_files(program.folder),
    )
    what = f"compiling {program.output}"
    place = cache.entry(
        f"c-{program.output}", key, lambda folder: compile_into(folder, program), progress, what, 1
    )
    return place / program.output


def compile_into(place: Path, program: CProgram) -> None:
    """Compiles `program` into the folder `place`."""
    command = ["gcc", "-std=gnu11", "-O2", *WARNINGS, "-o", place / program.output, *program.files]
    run([*command, *program.flags], timeout=BUILD_SECONDS, cwd=program.folder)
