"""What became of a check, for other programs: rows of a table, JUnit XML, GitHub annotations."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from auditor.policies.checking import Checked
from auditor.policies.outcome import Outcome, Status

HEAD = ("", "condition", "value", "95 % interval", "limit", "n")
"""What stands above the rows of `table_rows`."""

WORDS: dict[Status, str] = {"pass": "passed", "fail": "failed", "insufficient": "not decided"}
"""How tables and sentences call the statuses."""

# What XML 1.0 cannot hold, not even escaped (its production 2, Char).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_COMMANDS: dict[Status, str] = {"fail": "error", "insufficient": "warning"}


def table_rows(checked: Checked) -> list[tuple[str, ...]]:
    """A row of text for each outcome, under `HEAD`."""
    return [
        (
            WORDS[outcome.status],
            outcome.name,
            _written(outcome, outcome.value),
            _interval(outcome),
            _limit(outcome),
            "" if outcome.n is None else f"{outcome.n}",
        )
        for outcome in checked.outcomes
    ]


def summary(checked: Checked) -> str:
    """The outcome in a sentence."""
    counted = checked.counted()
    told = ", ".join(f"{count} {WORDS[status]}" for status, count in counted.items() if count)
    whole = {
        "pass": "Passed",
        "fail": "Failed",
        "insufficient": "Too little evidence to say",
    }[checked.status]
    return f"{whole}: {told}."


def junit(checked: Checked) -> bytes:
    """JUnit XML, UTF-8: a test case an outcome.

    A failed condition is a failure, one that could not be decided is skipped; both carry the
    text. Characters that XML forbids are left out.
    """
    counted = checked.counted()
    totals = {
        "tests": f"{len(checked.outcomes)}",
        "failures": f"{counted['fail']}",
        "errors": "0",
        "skipped": f"{counted['insufficient']}",
    }
    root = ET.Element("testsuites", {"name": "auditor check", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": "auditor check", **totals, "time": "0"})
    properties = ET.SubElement(suite, "properties")
    facts = {
        "run": str(checked.run),
        "policy": str(checked.policy.path),
        "policy_sha256": checked.policy.sha256,
        "decide": checked.policy.decide,
    }
    if checked.baseline is not None:
        facts["baseline"] = str(checked.baseline)
    for name, value in facts.items():
        ET.SubElement(properties, "property", {"name": name, "value": _xml(value)})
    for outcome in checked.outcomes:
        table = outcome.name.partition(".")[0]
        case = ET.SubElement(
            suite,
            "testcase",
            {"classname": f"auditor.{table}", "name": _xml(outcome.name), "time": "0"},
        )
        text = _xml(outcome.text)
        if outcome.status == "fail":
            failure = ET.SubElement(case, "failure", {"message": text, "type": "condition"})
            failure.text = text
        elif outcome.status == "insufficient":
            ET.SubElement(case, "skipped", {"message": text})
        else:
            ET.SubElement(case, "system-out").text = text
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def github(checked: Checked) -> list[str]:
    """GitHub's workflow commands, a line each: an error a failure, then a warning an undecided.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions; escaped as
    its runner reads them back, so that no name from a dataset can begin a command of its own.
    """
    lines = []
    for status, command in _COMMANDS.items():
        for outcome in checked.outcomes:
            if outcome.status == status:
                title = f"auditor check: {outcome.name} {WORDS[status]}"
                lines.append(f"::{command} title={_property(title)}::{_data(outcome.text)}")
    return lines


def _xml(text: str) -> str:
    return _NO_XML.sub("", text)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _limit(outcome: Outcome) -> str:
    return _written(outcome, outcome.limit)


def _interval(outcome: Outcome) -> str:
    if outcome.low is None or outcome.high is None:
        return ""
    return f"{_written(outcome, outcome.low)} to {_written(outcome, outcome.high)}"


def _written(outcome: Outcome, value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or "–"
    if outcome.unit == "share":
        return f"{value:.1%}"
    return f"{value:.2f}" if outcome.unit == "ratio" else f"{value:g}"
