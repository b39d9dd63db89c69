"""The report of a check as text and as JSON."""

import json

from k3sgpu.problem import Problem
from k3sgpu.report import Report, as_json, as_text

ERROR = Problem("b", "none", "some", "rm this\nrm that", check="disk")
WARNING = Problem("a", "little", "more", "buy some", "warning", check="memory")


def test_errors_come_first_and_hosts_without_problem_take_one_line():
    report = Report("doctor hosts", {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}, [WARNING, ERROR])
    assert as_text(report) == (
        "doctor hosts: 1 error, 1 warning\n"
        "\n"
        "b  10.0.0.2\n"
        "  error: disk\n"
        "    found:    none\n"
        "    expected: some\n"
        "    remedy:   rm this\n"
        "              rm that\n"
        "\n"
        "a  10.0.0.1\n"
        "  warning: memory\n"
        "    found:    little\n"
        "    expected: more\n"
        "    remedy:   buy some\n"
        "\n"
        "ok  c  10.0.0.3"
    )
    assert report.exit_code == 1


def test_errors_of_one_host_come_before_its_warnings():
    text = as_text(Report("t", {"b": ""}, [Problem("b", "", "", "", "warning", check="x"), ERROR]))
    assert text.index("error: disk") < text.index("warning: x")


def test_many_hosts_without_problem_share_a_line():
    report = Report("t", {f"gpu-{number}": "" for number in range(100)}, [])
    assert as_text(report) == "t: no problems\nok: 100 (gpu-0 … gpu-99)"


def test_many_hosts_with_the_same_problems_share_a_block():
    hosts = [f"gpu-{number}" for number in range(30)]
    waived = [Problem(host, "off", "", "", "waived", check="swap") for host in hosts[:25]]
    own = Problem("gpu-29", "none", "some", "rm this", check="disk")
    assert as_text(Report("t", dict.fromkeys(hosts, "about"), [*waived, own])) == (
        "t: 1 error, 25 waived\n"
        "\n"
        "gpu-29  about\n"
        "  error: disk\n"
        "    found:    none\n"
        "    expected: some\n"
        "    remedy:   rm this\n"
        "\n"
        "gpu-0, gpu-1, gpu-2, gpu-3, gpu-4, gpu-5, gpu-6, gpu-7, gpu-8, gpu-9, gpu-10, gpu-11, gpu-12,\n"
        "gpu-13, gpu-14, gpu-15, gpu-16, gpu-17, gpu-18, gpu-19, gpu-20, gpu-21, gpu-22, gpu-23, gpu-24\n"
        "  waived: swap: off\n"
        "\n"
        "ok  gpu-25  about\n"
        "ok  gpu-26  about\n"
        "ok  gpu-27  about\n"
        "ok  gpu-28  about"
    )


def test_warnings_alone_do_not_fail_the_check():
    assert Report("t", {}, [WARNING]).exit_code == 0


def test_json_is_flat():
    data = json.loads(json.dumps(as_json(Report("t", {"b": "x"}, [ERROR], ["a note"]))))
    assert data == {
        "title": "t", "ok": False, "errors": 1, "warnings": 0, "waived": 0,
        "subjects": {"b": "x"}, "notes": ["a note"],
        "problems": [
            {"where": "b", "check": "disk", "severity": "error", "found": "none", "expected": "some",
             "remedy": "rm this\nrm that"}
        ],
    }  # fmt: skip
