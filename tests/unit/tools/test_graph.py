"""The drawing of the dependency graph."""

from pathlib import Path

from tools import graph, plan

ROOT = Path(__file__).resolve().parents[3]


def test_graph_page_of_the_docs_is_current() -> None:
    drawn = graph.page(plan.planned(ROOT / "Pulumi.dev.yaml", "dev"))
    assert (ROOT / "docs/graph.md").read_text() == drawn, "run make graph"
