"""The JSON Schema of a report's document: draft 2020-12, and strict.

One source: `docs/schema/report-1.json` is this, written out; a test holds the two together. What a
run may name as it likes (columns of a finding's table, attributes) is open; all else is closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.language import LANGUAGES
from auditor.report.options import SECTIONS
from auditor.report.wording import UNITS

Schema = dict[str, Any]

VERSION = 1
"""That of the document, and part of the name of the published file."""

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_LIFT: Schema = {"type": "number", "minimum": 0}
_BOOLEAN: Schema = {"type": "boolean"}
_SCALAR: Schema = {"type": ["null", "boolean", "number", "string"]}
_VALUE: Schema = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}
_CELL: Schema = {"anyOf": [_SCALAR, {"type": "array"}, {"type": "object"}]}
_UNIT: Schema = {"enum": list(UNITS)}
_SEVERITY: Schema = {"enum": ["warning", "notice", "info"]}


def document_schema() -> Schema:
    """The schema as JSON has it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:auditor:report:{VERSION}",
        "title": "Audit report",
        "description": "The JSON form of a report of Auditor; docs/report.md says what it means.",
        **_record(
            {
                "document_version": {"const": VERSION},
                "language": {"enum": list(LANGUAGES)},
                "title": _TEXT,
                "identity": _many(_ref("fact")),
                "left_out": {**_many(_TEXT), "uniqueItems": True},
                "sections": {**_many(_ref("section")), "minItems": 1},
            }
        ),
        "$defs": {
            "section": _record(
                {
                    "name": {"enum": list(SECTIONS)},
                    "title": _TEXT,
                    "blocks": _many({"oneOf": [_ref(f"block.{kind}") for kind in _BLOCKS]}),
                }
            ),
            "fact": _record(
                {
                    "name": _TEXT,
                    "title": _TEXT,
                    "value": _VALUE,
                    "unit": _UNIT,
                    "reason": _nullable(_TEXT),
                }
            ),
            "column": _record(
                {"name": _TEXT, "title": _TEXT, "unit": _UNIT, "to": _TEXT}, optional=("to",)
            ),
            "row": {"type": "object", "additionalProperties": _CELL},
            "finding": _record(_FINDING),
            "picture": _record(_PICTURE),
            "pair": _record(_PAIR),
            "review": _record(_REVIEW),
            "example": _record(_EXAMPLE),
            "recommendation": _record(_RECOMMENDATION),
            **{f"chart.{drawn}": _record(row) for drawn, row in _CHARTS.items()},
            **{f"block.{kind}": _block(kind, fields) for kind, fields in _BLOCKS.items()},
        },
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _many(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _record(fields: Mapping[str, Schema], optional: Sequence[str] = ()) -> Schema:
    """An object of these fields and no other, all there but the optional ones."""
    return {
        "type": "object",
        "properties": dict(fields),
        "required": [name for name in fields if name not in optional],
        "additionalProperties": False,
    }


def _block(kind: str, fields: Mapping[str, Schema]) -> Schema:
    made = _record({"kind": {"const": kind}, **fields})
    if kind == "chart":
        made["oneOf"] = [
            {"properties": {"chart": {"const": drawn}, "rows": _many(_ref(f"chart.{drawn}"))}}
            for drawn in _CHARTS
        ]
    return made


_FINDING: Mapping[str, Schema] = {
    "kind": _TEXT,
    "severity": _SEVERITY,
    "text": _TEXT,
    "value": _nullable(_NUMBER),
    "low": _nullable(_NUMBER),
    "high": _nullable(_NUMBER),
    "n": _nullable(_COUNT),
    "threshold": _nullable(_NUMBER),
    "query": _nullable(_TEXT),
    "attribute": _nullable(_TEXT),
    "cue": _nullable(_TEXT),
}

_PICTURE: Mapping[str, Schema] = {
    "name": {"enum": ["image", "map", "same", "opposite", "control", "fill"]},
    "caption": _TEXT,
    "alt": {"type": "string", "minLength": 1},
    "src": {"type": "string", "pattern": "^data:image/webp;base64,[A-Za-z0-9+/]+=*$"},
    "width": {"type": "integer", "minimum": 1},
    "height": {"type": "integer", "minimum": 1},
}

_PAIR: Mapping[str, Schema] = {
    "cue": _TEXT,
    "arms": {"enum": [["same", "opposite"], ["control", "fill"]]},
    "margins": {**_many(_many(_NUMBER)), "minItems": 2, "maxItems": 2},
    "shown": {**_many(_NUMBER), "minItems": 2, "maxItems": 2},
    "by": {"enum": ["donor", "fill"]},
}

_REVIEW: Mapping[str, Schema] = {
    "case": _nullable(_TEXT),
    "reviewer": _nullable(_TEXT),
    "verdict": _nullable(_TEXT),
    "tags": _nullable(_TEXT),
    "note": _nullable(_TEXT),
    "time": _nullable(_TEXT),
}

_EXAMPLE: Mapping[str, Schema] = {
    "id": _TEXT,
    "image": _TEXT,
    "label": _TEXT,
    "predicted": _nullable(_TEXT),
    "contrast": _nullable(_TEXT),
    "confidence": _nullable(_SHARE),
    "margin": _nullable(_NUMBER),
    "correct": _nullable(_BOOLEAN),
    "flag": {"enum": ["spurious_error", "wrong_reason", None]},
    "cue": _nullable(_TEXT),
    "evidence": {"enum": ["confirmed", "probable", "attention", "unsupported", "untestable", None]},
    "severity": _nullable(_SHARE),
    "reason": _nullable(_TEXT),
    "pool": {"enum": ["spurious_error", "wrong_reason", "attention", "unsupported"]},
    "chosen": _TEXT,
    "attributes": {"type": "object", "additionalProperties": _SCALAR},
    "reliance": _nullable(_NUMBER),
    "reliance_se": _nullable(_NUMBER),
    "pair": _nullable(_ref("pair")),
    "reviews": _many(_ref("review")),
    "pictures": _many(_ref("picture")),
    "problem": _nullable(_TEXT),
}

_RECOMMENDATION: Mapping[str, Schema] = {
    "rule": _TEXT,
    "severity": _SEVERITY,
    "text": _TEXT,
    "settled_by": _TEXT,
    "finding": {"type": "integer", "minimum": 1},
    "finding_kind": _TEXT,
    "finding_text": _TEXT,
}

_CHARTS: Mapping[str, Mapping[str, Schema]] = {
    "forest": {
        "label": _TEXT,
        "value": _nullable(_TEXT),
        "group": _TEXT,
        "n": _COUNT,
        "judged": _COUNT,
        "correct": _COUNT,
        "accuracy": _nullable(_SHARE),
        "low": _nullable(_SHARE),
        "high": _nullable(_SHARE),
        "precision": _TEXT,
        "reason": _nullable(_TEXT),
        "overall": _nullable(_SHARE),
    },
    "counts": {"label": _TEXT, "value": _nullable(_TEXT), "n": _COUNT},
    "lifts": {
        "layer": _TEXT,
        "place": _COUNT,
        "height": _COUNT,
        "width": _COUNT,
        "own": _BOOLEAN,
        "region": _TEXT,
        "cue": _BOOLEAN,
        "problem": _nullable(_TEXT),
        **{
            name: schema
            for of in ("errors", "correct")
            for name, schema in (
                (of, _nullable(_LIFT)),
                (f"{of}_low", _nullable(_LIFT)),
                (f"{of}_high", _nullable(_LIFT)),
                (f"{of}_n", _COUNT),
            )
        },
    },
    "shares": {
        "region": _TEXT,
        "cue": _BOOLEAN,
        **{
            name: schema
            for of in ("errors", "correct")
            for name, schema in (
                (of, _nullable(_SHARE)),
                (f"{of}_area", _nullable(_SHARE)),
                (f"{of}_n", _COUNT),
            )
        },
    },
}
"""The rows of each chart."""

_BLOCKS: Mapping[str, Mapping[str, Schema]] = {
    "heading": {"text": _TEXT},
    "text": {"tone": {"enum": ["plain", "note", "warning"]}, "text": _TEXT},
    "list": {"name": _TEXT, "title": _TEXT, "items": _many(_TEXT)},
    "code": {"name": _TEXT, "title": _TEXT, "text": _TEXT},
    "facts": {"name": _TEXT, "title": _TEXT, "facts": _many(_ref("fact"))},
    "table": {
        "name": _TEXT,
        "title": _TEXT,
        "columns": {**_many(_ref("column")), "minItems": 1},
        "rows": _many(_ref("row")),
        "total": _COUNT,
        "left_out": _COUNT,
        "note": _nullable(_TEXT),
    },
    "findings": {"name": _TEXT, "findings": _many(_ref("finding"))},
    "chart": {
        "name": _TEXT,
        "chart": {"enum": list(_CHARTS)},
        "title": _TEXT,
        "description": _TEXT,
        "rows": {"type": "array"},
        "left_out": _COUNT,
    },
    "verdict": {
        "name": _TEXT,
        "level": {"type": "integer", "minimum": 0, "maximum": 4},
        "grade": {"enum": ["A", "B", "C"]},
        "text": _TEXT,
        "levels": {**_many(_TEXT), "minItems": 5, "maxItems": 5},
        "means": _TEXT,
        "means_not": _TEXT,
    },
    "examples": {
        "name": _TEXT,
        "examples": _many(_ref("example")),
        "legend": _many(
            _record({"region": _TEXT, "colour": {"type": "string", "pattern": "^#[0-9a-f]{6}$"}})
        ),
    },
    "recommendations": {"name": _TEXT, "recommendations": _many(_ref("recommendation"))},
    "signoff": {"name": _TEXT, "fields": _many(_TEXT)},
}
"""The fields of each kind of block beside its `kind`."""
