"""The readiness gate, against an API server of the test's own."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from k3sgpu import timeouts
from k3sgpu.cluster import readiness
from k3sgpu.cluster.client import parse_kubeconfig
from k3sgpu.problem import InputError
from k3sgpu.report import as_text
from tests.data.expected_states import EXPECTED, PLUGIN, cluster, fewer, plugin_pod, pod, waiting
from tests.data.kubeconfigs import kubeconfig_text


def renamed(pod: dict[str, Any]) -> dict[str, Any]:
    """The same pod with another name."""
    return {**pod, "metadata": {**pod["metadata"], "name": pod["metadata"]["name"] + "-new"}}


class Api:
    """Serves a cluster as lists over HTTP; `broken` answers 500, `hangs` never.

    `at`: what happens when a look begins, by its number. `successor`: the pod that a DaemonSet's controller
    makes for a deleted one; `deleted` has the names of those.
    """

    def __init__(self) -> None:
        self.state, self.broken, self.hangs, self.looks = cluster(), False, False, 0
        self.at: dict[int, Callable[[], None]] = {}
        self.deleted: list[str] = []
        self.refuses_deletes = False
        self.successor: Callable[[dict[str, Any]], dict[str, Any]] = renamed
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

            def do_DELETE(self) -> None:
                if fake.refuses_deletes:
                    self.send_error(403)
                    return
                name = self.path.rsplit("/", 1)[1]
                fake.deleted.append(name)
                fake.state["pods"] = [
                    fake.successor(pod) if pod["metadata"]["name"] == name else pod
                    for pod in fake.state["pods"]
                ]
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                pass  # a client that has gone: its traceback would be in another test's output

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def breaks(self) -> None:
        self.broken = True

    def heals(self) -> None:
        self.broken, self.state = False, cluster()

    @property
    def config(self) -> Any:
        return parse_kubeconfig(kubeconfig_text(f"http://127.0.0.1:{self.server.server_port}"), "a test")


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(timeouts, "READINESS_FAST_INTERVAL_SECONDS", 0.1)


@pytest.fixture
def served() -> Iterator[Api]:
    fake = Api()
    yield fake
    fake.hangs = False
    fake.server.shutdown()


def test_check_of_a_cluster_that_is_ready(served):
    report = readiness.check_once(EXPECTED, served.config)
    assert report.exit_code == 0
    assert (
        as_text(report)
        == "doctor cluster: no problems\nok  gpu-1  Ready, nvidia.com/gpu 6\nok  server-1  Ready"
    )


def test_check_of_a_cluster_with_too_few_slices(served):
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


@pytest.mark.parametrize("ready", [True, False])
def test_pods_that_a_kubelet_rejected_are_a_warning(served, ready):
    failed = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Pod was rejected: no"}
    served.state["pods"].append(pod("greedy", on="gpu-1", **failed))
    if not ready:
        fewer(served.state)
    report = readiness.check_once(EXPECTED, served.config)
    (problem,) = [one for one in report.problems if one.check == "rejected-pods"]
    assert (problem.severity, report.errors > 0) == ("warning", not ready)


def test_missing_operator_is_named_first(served):
    served.state.update(clusterpolicies=None, daemonsets=[], pods=[])
    checks = [problem.check for problem in readiness.check_once(EXPECTED, served.config).problems]
    assert checks[0] == "status"


def test_wait_ends_when_the_cluster_is_ready(served):
    fewer(served.state)
    served.at = {3: served.heals}
    lines: list[str] = []
    assert readiness.wait_until_ready(EXPECTED, served.config, lines.append).exit_code == 0
    assert [line.partition(": ")[2] for line in lines] == ["gpu-1: nvidia.com/gpu: found 1, expected 6"]
    assert served.looks == 3


def test_wait_ends_at_the_deadline_with_a_report(served):
    fewer(served.state)
    report = readiness.wait_until_ready({**EXPECTED, "timeoutSeconds": 1}, served.config, lambda _: None)
    assert report.exit_code == 1
    assert re.match(r"doctor cluster after \d+ s: 1 error", as_text(report))


def test_wait_restarts_a_pod_that_failed_before(served):
    fewer(served.state)
    plugin_pod(**waiting("CrashLoopBackOff", last="file exists", container="config-manager"))(served.state)

    def start_well(_: dict[str, Any]) -> dict[str, Any]:
        served.heals()
        return renamed(pod(PLUGIN))

    served.successor = start_well
    lines: list[str] = []
    assert readiness.wait_until_ready(EXPECTED, served.config, lines.append).exit_code == 0
    assert served.deleted == [f"{PLUGIN}-abcde"]
    assert f"pod {PLUGIN}-abcde has failed: deleted" in "\n".join(lines)


def test_pod_that_fails_anew_is_not_restarted_again(served):
    fewer(served.state)
    plugin_pod(**waiting("CrashLoopBackOff", last="invalid"))(served.state)
    report = readiness.wait_until_ready({**EXPECTED, "timeoutSeconds": 1}, served.config, lambda _: None)
    assert report.exit_code == 1 and len(served.deleted) == 1


def test_refused_restart_leaves_the_report(served):
    fewer(served.state)
    plugin_pod(**waiting("CrashLoopBackOff", last="invalid"))(served.state)
    served.refuses_deletes = True
    report = readiness.wait_until_ready({**EXPECTED, "timeoutSeconds": 1}, served.config, lambda _: None)
    assert report.exit_code == 1 and "CrashLoopBackOff" in as_text(report)


def test_pod_that_runs_again_after_a_failure_stays(served):
    fewer(served.state)
    rebooted = waiting("", last="Unknown")
    rebooted["containerStatuses"][0]["state"] = {"running": {}}
    plugin_pod(**rebooted)(served.state)
    readiness.wait_until_ready({**EXPECTED, "timeoutSeconds": 1}, served.config, lambda _: None)
    assert served.deleted == []


def test_check_restarts_nothing(served):
    fewer(served.state)
    plugin_pod(**waiting("CrashLoopBackOff", last="invalid"))(served.state)
    readiness.check_once(EXPECTED, served.config)
    assert served.deleted == []


def test_wait_survives_an_api_that_is_away_for_a_while(served):
    fewer(served.state)
    served.at = {2: served.breaks, 4: served.heals}
    lines: list[str] = []
    assert readiness.wait_until_ready(EXPECTED, served.config, lines.append).exit_code == 0
    assert any("refuses" in line for line in lines)


def test_api_that_stays_away_is_a_problem_of_its_own(served):
    fewer(served.state)
    served.at = {2: served.breaks}
    report = readiness.wait_until_ready({**EXPECTED, "timeoutSeconds": 2}, served.config, lambda _: None)
    assert [problem.where for problem in report.problems] == ["gpu-1", "API server"]


def test_api_that_never_answers_ends_the_wait_early(monkeypatch):
    monkeypatch.setattr(timeouts, "FIRST_ANSWER_SECONDS", 0.2)
    with pytest.raises(InputError, match=r"http://127.0.0.1:1: .*Is the cluster up"):
        readiness.wait_until_ready(
            {**EXPECTED, "timeoutSeconds": 900},
            parse_kubeconfig(kubeconfig_text("http://127.0.0.1:1"), "a test"),
            print,
        )


def test_api_that_accepts_and_never_answers_has_a_deadline(served, monkeypatch):
    monkeypatch.setattr(timeouts, "SNAPSHOT_SECONDS", 0.4)
    served.hangs = True
    with pytest.raises(InputError, match="did not answer within"):
        readiness.check_once(EXPECTED, served.config)
