"""The look at a cluster: the wait, against a small API of our own."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from k3sgpu.cluster import client, readiness
from k3sgpu.cluster.client import kubeconfig
from k3sgpu.problem import InputError
from k3sgpu.report import as_text
from tests.data.expected_states import EXPECTED, cluster, fewer


class Api:
    """Serves a cluster as lists over HTTP; `broken` answers 500, `hangs` never.

    `at`: what happens when a look begins, by its number.
    """

    def __init__(self) -> None:
        self.state, self.broken, self.hangs, self.looks = cluster(), False, False, 0
        self.at: dict[int, Callable[[], None]] = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind = self.path.partition("?")[0].rsplit("/", 1)[1]
                if kind == "nodes":
                    fake.looks += 1
                    fake.at.get(fake.looks, lambda: None)()
                while fake.hangs:
                    time.sleep(0.05)
                items = fake.state.get(kind)
                code = 500 if fake.broken else 404 if items is None else 200
                body = (
                    {"items": items, "metadata": {}} if code == 200 else {"message": "broken", "code": code}
                )
                # A kind that is not known gets no Status object, but plain text.
                data = b"404 page not found\n" if code == 404 else json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "text/plain" if code == 404 else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def breaks(self) -> None:
        self.broken = True

    def heals(self) -> None:
        self.broken, self.state = False, cluster()

    @property
    def config(self) -> Any:
        return kubeconfig(config_text(f"http://127.0.0.1:{self.server.server_port}"), "a test")


def config_text(server: str) -> str:
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": "not-a-real-token"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(readiness, "EVERY_S", (0.1, 0.1))


@pytest.fixture
def served() -> Iterator[Api]:
    fake = Api()
    yield fake
    fake.hangs = False
    fake.server.shutdown()


def test_one_look(served):
    report = readiness.check_once(EXPECTED, served.config)
    assert report.exit_code == 0
    assert (
        as_text(report)
        == "doctor cluster: all in order\nok  gpu-1  Ready, nvidia.com/gpu 6\nok  server-1  Ready"
    )


def test_one_look_at_less(served):
    fewer(served.state)
    served.state["events"] = [
        {"type": "Warning", "reason": "BackOff", "message": "why",
         "involvedObject": {"name": "p"}, "lastTimestamp": t}
        for t in ("2026-11-23T12:00:00Z", "2026-11-23T12:00:01Z")
    ]  # fmt: skip
    report = readiness.check_once(EXPECTED, served.config)
    text = as_text(report)
    assert report.exit_code == 1
    assert "gpu-1  expected: Ready, nvidia.com/gpu 6" in text
    assert "error: nvidia.com/gpu\n    found:    1\n    expected: 6" in text
    assert text.count("event: p: BackOff: why") == 1


def test_an_operator_that_is_not_there(served):
    served.state.update(clusterpolicies=None, daemonsets=[], pods=[])
    checks = [finding.check for finding in readiness.check_once(EXPECTED, served.config).problems]
    assert checks[0] == "status"


def test_waiting_until_it_is_so(served):
    fewer(served.state)
    served.at = {3: served.heals}
    lines: list[str] = []
    assert readiness.wait_until_ready(EXPECTED, served.config, lines.append).exit_code == 0
    assert [line.partition(": ")[2] for line in lines] == ["gpu-1 nvidia.com/gpu found 1, want 6"]
    assert served.looks == 3


def test_the_deadline(served):
    fewer(served.state)
    report = readiness.wait_until_ready({**EXPECTED, "timeoutSeconds": 1}, served.config, lambda _: None)
    assert report.exit_code == 1
    assert re.match(r"doctor cluster after \d+ s: 1 error", as_text(report))


def test_an_api_that_vanishes_for_a_while(served):
    fewer(served.state)
    served.at = {2: served.breaks, 4: served.heals}
    lines: list[str] = []
    assert readiness.wait_until_ready(EXPECTED, served.config, lines.append).exit_code == 0
    assert any("refuses" in line for line in lines)


def test_an_api_that_vanishes_and_stays_away(served):
    fewer(served.state)
    served.at = {2: served.breaks}
    report = readiness.wait_until_ready({**EXPECTED, "timeoutSeconds": 2}, served.config, lambda _: None)
    assert [finding.where for finding in report.problems] == ["gpu-1", "API server"]


def test_an_api_that_is_not_there(monkeypatch):
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.2)
    with pytest.raises(InputError, match=r"http://127.0.0.1:1: .*Is the cluster up"):
        readiness.wait_until_ready(
            {**EXPECTED, "timeoutSeconds": 900},
            kubeconfig(config_text("http://127.0.0.1:1"), "a test"),
            print,
        )


def test_an_api_that_accepts_and_never_answers(served, monkeypatch):
    monkeypatch.setattr(client, "LOOK_S", 0.4)
    served.hangs = True
    with pytest.raises(InputError, match="did not answer within"):
        readiness.check_once(EXPECTED, served.config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("just words", "no mapping"),
        ("a: [", "is no YAML"),
        ("apiVersion: v1", "cannot be used"),
        ("clusters: []\ncontexts: []\ncurrent-context: x", "Context 'x' not found"),
        (
            (
                "clusters: [{name: c, cluster: {server: 'https://x'}}]\n"
                "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x"
            ),
            "names no user",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used(text, expected):
    with pytest.raises(InputError, match=expected):
        kubeconfig(text, "a test")


def test_a_kubeconfig_with_broken_certificates():
    data = json.loads(config_text("https://127.0.0.1:1"))
    data["clusters"][0]["cluster"]["certificate-authority-data"] = "bm90IGEgY2VydGlmaWNhdGU="
    with pytest.raises(InputError, match="certificates cannot be used"):
        readiness.check_once(EXPECTED, kubeconfig(json.dumps(data), "a test"))
