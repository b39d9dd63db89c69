"""What a look says: findings, and the one report made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "waived"]
_ORDER = ("error", "warning", "waived")

QUIET_ABOVE = 20  # with more machines than this, those in order share one line


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be (error) or should be (warning), or that the stack file waives."""

    host: str
    check: str
    found: str
    needed: str
    remedy: str
    """To paste into a shell or the stack file; several lines are possible."""
    severity: Severity = "error"


@dataclass(frozen=True)
class Report:
    """The verdict of one look: what was looked at (name → one line about it), what was found."""

    title: str
    subjects: Mapping[str, str]
    findings: Sequence[Finding]
    notes: Sequence[str] = ()
    """What stands beside the findings: words of others that help to understand them."""

    @property
    def errors(self) -> int:
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        return sum(finding.severity == "warning" for finding in self.findings)

    @property
    def waived(self) -> int:
        return sum(finding.severity == "waived" for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0: fine, warnings allowed. 1: errors."""
        return 1 if self.errors else 0


def as_text(report: Report) -> str:
    """The report for people: what has errors first, one line for what is in order."""
    groups = _groups(report)
    lines = [f"{report.title}: {_count(report)}"]
    for name, findings in groups:
        if findings:
            lines += ["", _subject(report, name), *(line for finding in findings for line in _lines(finding))]
    fine = [name for name, findings in groups if not findings]
    if fine and any(findings for _, findings in groups):
        lines.append("")
    if len(fine) > QUIET_ABOVE:
        lines.append(f"in order: {names(fine)}")
    else:
        lines += [f"ok  {_subject(report, name)}" for name in fine]
    if report.notes:
        lines += ["", *(f"  {note}" for note in report.notes)]
    return "\n".join(lines)


def names(hosts: Sequence[str]) -> str:
    """Hosts in a line: all of them, or how many and the first and last."""
    return ", ".join(hosts) if len(hosts) <= QUIET_ABOVE else f"{len(hosts)} ({hosts[0]} … {hosts[-1]})"


def as_json(report: Report) -> dict[str, Any]:
    """The report for programs: flat, one entry a finding."""
    return {
        "title": report.title,
        "ok": report.errors == 0,
        "errors": report.errors,
        "warnings": report.warnings,
        "waived": report.waived,
        "subjects": dict(report.subjects),
        "findings": [asdict(finding) for finding in report.findings],
        "notes": list(report.notes),
    }


def _groups(report: Report) -> list[tuple[str, list[Finding]]]:
    names = list(dict.fromkeys([*report.subjects, *(finding.host for finding in report.findings)]))
    groups = [
        (name, sorted((f for f in report.findings if f.host == name), key=lambda f: _ORDER.index(f.severity)))
        for name in names
    ]
    return sorted(groups, key=lambda group: -sum(f.severity == "error" for f in group[1]))


def _subject(report: Report, name: str) -> str:
    about = report.subjects.get(name)
    return f"{name}  {about}" if about else name


def _count(report: Report) -> str:
    if not report.findings:
        return "all in order"
    waived = f", {report.waived} waived" if report.waived else ""
    return f"{_plural(report.errors, 'error')}, {_plural(report.warnings, 'warning')}{waived}"


def _plural(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _lines(finding: Finding) -> list[str]:
    if finding.severity == "waived":
        return [f"  waived {finding.check}: {finding.found}"]
    first = f"  {'ERROR' if finding.severity == 'error' else 'warning'} {finding.check}: "
    remedy = finding.remedy.splitlines() or [""]
    return [
        first + finding.found,
        f"      needed: {finding.needed}",
        f"      do:     {remedy[0]}",
        *(f"              {line}" for line in remedy[1:]),
    ]
