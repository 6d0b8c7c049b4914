"""What became of a check, in words: rows of a table, JUnit XML, GitHub annotations.

Names of conditions, and whatever else a program reads, are the same in every language.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from auditor.language import Language, Phrase, Words, listed, phrase
from auditor.policies.checking import Checked
from auditor.policies.outcome import Outcome, Status

HEAD: tuple[Words, ...] = (
    "",
    phrase("condition"),
    phrase("value"),
    phrase("95 % interval"),
    phrase("limit"),
    phrase("n"),
)
"""What stands above the rows of `table_rows`."""

WORDS: dict[Status, Phrase] = {
    "pass": phrase("passed"),
    "fail": phrase("failed"),
    "insufficient": phrase("not decided"),
}
"""How tables and sentences call the statuses."""

# What XML 1.0 cannot hold, not even escaped (its production 2, Char).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_COMMANDS: dict[Status, str] = {"fail": "error", "insufficient": "warning"}


def table_rows(checked: Checked, language: Language = "en") -> list[tuple[str, ...]]:
    """A row of text for each outcome, under `HEAD`."""
    return [
        (
            WORDS[outcome.status].written(language),
            outcome.name,
            _written(outcome, outcome.value),
            _interval(outcome, language),
            _limit(outcome),
            "" if outcome.n is None else f"{outcome.n}",
        )
        for outcome in checked.outcomes
    ]


def summary(checked: Checked, language: Language = "en") -> str:
    """The outcome in a sentence."""
    n = checked.counted()
    counts: dict[Status, Phrase] = {
        "pass": phrase("{n} passed", n=n["pass"]),
        "fail": phrase("{n} failed", n=n["fail"]),
        "insufficient": phrase("{n} not decided", n=n["insufficient"]),
    }
    told = listed(count for status, count in counts.items() if n[status])
    whole: dict[Status, Phrase] = {
        "pass": phrase("Passed: {counts}.", counts=told),
        "fail": phrase("Failed: {counts}.", counts=told),
        "insufficient": phrase("Too little evidence to say: {counts}.", counts=told),
    }
    return whole[checked.status].written(language)


def junit(checked: Checked, language: Language = "en") -> bytes:
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
        text = _xml(outcome.message.written(language))
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


def github(checked: Checked, language: Language = "en") -> list[str]:
    """GitHub's workflow commands, a line each: an error a failure, then a warning an undecided.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions; escaped as
    its runner reads them back, so that no name from a dataset can begin a command of its own.
    """
    lines = []
    for status, command in _COMMANDS.items():
        for outcome in checked.outcomes:
            if outcome.status == status:
                title = f"auditor check: {outcome.name} {WORDS[status].written(language)}"
                text = _data(outcome.message.written(language))
                lines.append(f"::{command} title={_property(title)}::{text}")
    return lines


def _xml(text: str) -> str:
    return _NO_XML.sub("", text)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _limit(outcome: Outcome) -> str:
    return _written(outcome, outcome.limit)


def _interval(outcome: Outcome, language: Language) -> str:
    if outcome.low is None or outcome.high is None:
        return ""
    low, high = (_written(outcome, end) for end in (outcome.low, outcome.high))
    return phrase("{low} to {high}", low=low, high=high).written(language)


def _written(outcome: Outcome, value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or "–"
    if outcome.unit == "share":
        return f"{value:.1%}"
    return f"{value:.2f}" if outcome.unit == "ratio" else f"{value:g}"
