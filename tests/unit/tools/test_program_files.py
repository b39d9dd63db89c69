"""The files that can change a plan."""

from pathlib import Path

import pytest

from tools.program_files import program_files

ROOT = Path(__file__).resolve().parents[3]
FILES = program_files(ROOT)


@pytest.mark.parametrize("pattern", ["components/*.py", "k3sgpu/hosts/scripts/*.sh", "policy/*.py"])
def test_every_part_of_the_program_is_found(pattern: str) -> None:
    assert {str(file.relative_to(ROOT)) for file in ROOT.glob(pattern)} <= set(FILES)


@pytest.mark.parametrize("file", ["__main__.py", "Pulumi.yaml", "k3sgpu/run.sh", "requirements.txt"])
def test_files_beside_the_modules_are_found(file: str) -> None:
    assert file in FILES


def test_program_imports_no_command_tool_rehearsal_or_test() -> None:
    others = ("k3sgpu/cli/", "k3sgpu/doctor/", "k3sgpu/cluster/", "tools/", "rehearsal/", "tests/")
    assert not [file for file in FILES if file.startswith(others)]


def test_import_inside_a_function_is_followed(tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/__main__.py").write_text("")
    (tmp_path / "__main__.py").write_text("def run():\n    import late\n")
    (tmp_path / "late.py").write_text("import json\n")
    assert program_files(tmp_path) == ["__main__.py", "late.py", "policy/__main__.py"]
