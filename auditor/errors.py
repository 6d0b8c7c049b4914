"""What Auditor raises. Every message names the file, the value or shape, and the remedy.

```
AuditorError            unusable input; the command line prints the message and exits with 2
├── ConfigurationError  the TOML file: unknown key, wrong type, contradiction
├── DatasetError        the dataset as a whole: no rows, duplicate ids, missing column
├── ModelError          classifier, checkpoint, class list, target layer
├── RunError            a run directory: begun with other inputs, damaged, unknown schema
├── ReviewError         verdicts of reviewers: a damaged file, an unknown verdict, a wrong row
└── CaseError           one image only: carries the status that the case is recorded with
```
"""

from __future__ import annotations

from auditor.types import CaseStatus


class AuditorError(Exception):
    """Base of every error that a user of Auditor can cause and mend."""


class ConfigurationError(AuditorError):
    """The configuration cannot be used: an unknown key, a wrong type, a contradiction."""


class DatasetError(AuditorError):
    """The dataset as a whole cannot be audited."""


class ModelError(AuditorError):
    """The classifier cannot be loaded or audited."""


class RunError(AuditorError):
    """A run directory cannot be read, continued or written."""


class ReviewError(AuditorError):
    """Verdicts of reviewers cannot be read, written, imported or exported."""


class CaseError(AuditorError):
    """One case is spoiled; the audit records `status` for it and goes on.

    `status` is the value that the case gets in `cases.parquet`.
    """

    def __init__(self, status: CaseStatus, message: str) -> None:
        super().__init__(message)
        self.status: CaseStatus = status
