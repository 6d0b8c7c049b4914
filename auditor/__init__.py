"""Does an image classifier decide by the subject, or by a cue that should not matter?

    dataset = auditor.open_dataset("audit.toml")
    classifier = auditor.load_classifier("audit.toml")
    run = auditor.audit(classifier, dataset, out="runs/first")

Importing this package imports neither torch nor streamlit; each name below brings what it
needs when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.configuration import Config, read_config
    from auditor.datasets import Dataset, open_dataset
    from auditor.errors import AuditorError
    from auditor.exports import write_export
    from auditor.findings import compare
    from auditor.geometry import Preprocess
    from auditor.models import Classifier, load_classifier
    from auditor.pipeline import Settings, audit
    from auditor.pipeline.finetuning import finetune
    from auditor.policies import check, read_policy
    from auditor.regions import RegionRoles
    from auditor.report import write_report
    from auditor.store import Run, open_run

__version__ = "0.1.0"

_HOMES = {
    "AuditorError": "auditor.errors",
    "Classifier": "auditor.models",
    "Config": "auditor.configuration",
    "Dataset": "auditor.datasets",
    "Preprocess": "auditor.geometry",
    "RegionRoles": "auditor.regions",
    "Run": "auditor.store",
    "Settings": "auditor.pipeline",
    "audit": "auditor.pipeline",
    "check": "auditor.policies",
    "compare": "auditor.findings",
    "finetune": "auditor.pipeline.finetuning",
    "load_classifier": "auditor.models",
    "open_dataset": "auditor.datasets",
    "open_run": "auditor.store",
    "read_config": "auditor.configuration",
    "read_policy": "auditor.policies",
    "write_export": "auditor.exports",
    "write_report": "auditor.report",
}

__all__ = [
    "AuditorError",
    "Classifier",
    "Config",
    "Dataset",
    "Preprocess",
    "RegionRoles",
    "Run",
    "Settings",
    "audit",
    "check",
    "compare",
    "finetune",
    "load_classifier",
    "open_dataset",
    "open_run",
    "read_config",
    "read_policy",
    "write_export",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'auditor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
