"""A chart on this computer."""

from pathlib import Path

import pytest

from k3sgpu import settings as s
from tests.data.stack_files import with_


def check(chart: str, folder: Path) -> None:
    s.check_local_chart(s.parse(with_({"gpuOperator/chart": chart})), folder)


@pytest.mark.parametrize("chart", ["gpu-operator", "oci://registry.example.org/nvidia/gpu-operator"])
def test_chart_elsewhere_is_not_looked_for(chart: str, tmp_path: Path) -> None:
    check(chart, tmp_path)


def test_chart_on_this_computer_is_found(tmp_path: Path) -> None:
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "Chart.yaml").touch()
    (tmp_path / "packed.tgz").touch()
    check("./unpacked", tmp_path)
    check("./packed.tgz", tmp_path)
    check(str(tmp_path / "unpacked"), tmp_path)


def test_home_directory_is_not_expanded(tmp_path: Path) -> None:
    with pytest.raises(s.SettingsError, match="there is nothing"):
        check("~/gpu-operator", tmp_path)


def test_folder_without_a_chart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(s.SettingsError, match=r"no Chart\.yaml"):
        check(".", tmp_path)
