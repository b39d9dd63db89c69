"""Check the GPU Operator's chart when it is a folder or an archive on this computer."""

from pathlib import Path

from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.models.gpu_operator import NVIDIA_CHARTS
from k3sgpu.settings.models.resolved import Settings


def check_local_chart(settings: Settings, base_dir: Path) -> None:
    """Raises SettingsError when gpuOperator.chart is a path at which there is no chart.

    Helm resolves a relative path from the folder of the project, `base_dir`, and does not expand ~. A bare
    name and oci://… are not on this computer.
    """
    operator = settings.gpu_operator
    if not operator.enabled or not operator.chart.startswith((".", "/", "~")):
        return
    chart = base_dir / operator.chart
    if chart.is_file() or (chart / "Chart.yaml").is_file():
        return
    raise SettingsError(
        [
            Problem(
                "gpuOperator.chart",
                f"{chart}, where there is {'no Chart.yaml' if chart.is_dir() else 'nothing'}",
                "the folder of a chart, or its .tgz archive",
                "write chart: gpu-operator, which Helm downloads, or put the chart there:\n"
                f"helm pull gpu-operator --repo {NVIDIA_CHARTS} --version {operator.version} --untar",
            )
        ]
    )
