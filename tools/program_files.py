"""`python -m tools.program_files`: every file that can change a plan, one a line.

Those are the modules that `__main__.py` and the policy pack import, directly or not; the files beside them,
and in folders below, that are not Python, as the scripts for hosts; and what Pulumi itself reads.
"""

from collections.abc import Iterator
from modulefinder import ModuleFinder
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("__main__.py", "policy/__main__.py")
READ_BY_PULUMI = ("Pulumi.yaml", "policy/PulumiPolicy.yaml", "policy/requirements.txt", "requirements.txt")


def program_files(root: Path) -> list[str]:
    """The files of the project in `root` that can change a plan, as sorted paths relative to it."""
    files = {root / name for name in READ_BY_PULUMI}
    for program in PROGRAMS:
        modules = imported_files(root, root / program)
        packages = {module.parent for module in modules if module.name == "__init__.py"}
        files |= modules | {file for package in packages for file in data_files(package)}
    return sorted(str(file.relative_to(root)) for file in files if file.is_file())


def imported_files(root: Path, program: Path) -> set[Path]:
    """A program and the modules below `root` that it imports, also inside functions."""
    # Pulumi puts a program's folder first on the path. Other packages are locked in requirements.txt.
    finder = ModuleFinder(path=[str(program.parent), str(root)])
    finder.run_script(str(program))
    files = (getattr(module, "__file__", None) for module in finder.modules.values())
    return {program, *(Path(file) for file in files if file)}


def data_files(package: Path) -> Iterator[Path]:
    """The files in a package's folder and below that are not Python."""
    return (file for file in package.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc"))


if __name__ == "__main__":
    print("\n".join(program_files(ROOT)))
