"""The slice map as a drawing."""

import xml.etree.ElementTree as tree
from pathlib import Path
from typing import Any

from k3sgpu import capacity
from k3sgpu import settings as s
from tests.data.stack_files import with_
from tests.unit.capacity.fits import fit_of_settings

ROOT = Path(__file__).resolve().parents[3]
CURRENT = "docs/fit-dev.svg"


def drawn(changes: dict[str, Any]) -> tuple[list[str], list[tree.Element]]:
    """Its texts, and its fields."""
    document = tree.fromstring(capacity.render_svg(fit_of_settings(s.parse(with_(changes)))))
    space = "{http://www.w3.org/2000/svg}"
    texts = ["".join(text.itertext()) for text in document.iter(f"{space}text")]
    return texts, list(document.iter(f"{space}rect"))


def test_drawing_shows_placements_and_free_slices() -> None:
    texts, fields = drawn({})
    assert "A1" in texts and "A2" in texts
    assert "4 of 6 slices taken, 2 free" in texts
    assert "w2 pods, 4 nvidia.com/gpu" in texts
    assert sum(field.get("stroke-dasharray") is not None for field in fields) == 2
    assert "no GPU: server-1" in texts


def test_drawing_shows_pending_pods_with_messages() -> None:
    texts, _ = drawn({"workloads/w/replicas": 4})
    assert "Pending: 1" in texts
    assert "w1 pod, 2 nvidia.com/gpu each" in texts
    assert "0/2 nodes are available: 2 Insufficient nvidia.com/gpu." in texts


def test_drawing_shows_reserved_slices_and_maintenance() -> None:
    host = {"address": "10.0.0.22", "maintenance": True}
    texts, _ = drawn({"pools/rtx/reserved": {"nvidia.com/gpu": 1}, "pools/rtx/hosts/gpu-2": host})
    assert "x" in texts
    assert any(text.endswith("in maintenance") for text in texts)


def test_many_cards_are_drawn_as_bars() -> None:
    hosts: dict[str, Any] = {f"gpu-{number}": f"10.0.1.{number}" for number in range(1, 80)}
    hosts["gpu-80"] = {"address": "10.0.1.80", "maintenance": True}
    texts, _ = drawn({"pools/rtx/hosts": hosts})
    assert "gpu-79" in texts
    assert "0 of 6" in texts
    assert texts.count("in maintenance") == 1


def test_drawing_in_the_docs_is_current() -> None:
    fresh = capacity.render_svg(fit_of_settings(s.read_stack_file(ROOT / "Pulumi.dev.yaml")))
    assert (ROOT / CURRENT).read_text() == fresh, f"make fit SVG={CURRENT}"
