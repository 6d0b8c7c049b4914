"""What an audit looks at beside its own maps, where it is asked to: findings and their files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from auditor.cam import METHODS
from auditor.findings import (
    Finding,
    agreement_findings,
    depth_findings,
    faithfulness_findings,
)
from auditor.pipeline.agreeing import Agreeing, Check
from auditor.pipeline.computing import Stages, Views, Work
from auditor.pipeline.finishing import Context
from auditor.pipeline.perturbing import Perturbing
from auditor.pipeline.sweeping import Sweeping
from auditor.store import Writer


@dataclass(frozen=True)
class Viewing:
    """Other methods, other layers and faithfulness; no flag and no verdict rests on them."""

    work: Work
    writer: Writer
    context: Context
    ids: pd.Series
    """Of all audited cases, in order."""
    check: Check
    checked: int
    """Images that `check` has at most."""
    asked: Views
    seed: int

    def findings(self, folder: Path, cases: pd.DataFrame, progress: Stages) -> list[Finding]:
        """Look at what is asked for, write its files to the folder, and say what was found.

        What an interrupted audit has written is not computed again. `cases` are those of the
        finished run, without their ids.
        """
        found: list[Finding] = []
        if self.asked == Views():
            return found
        cases = cases.assign(id=self.ids.to_numpy())
        own = METHODS[self.work.method].title
        if self.asked.methods:
            agreeing = Agreeing(
                self.work, self.writer, self.context, cases, self.check, self.checked, self.seed
            )
            compared, table = agreeing.run(self.asked.methods, partial(progress, "agreement"))
            pq.write_table(table, folder / "agreement.parquet")
            found += agreement_findings(cases, own, compared, self.seed)
        if self.asked.layers:
            sweep = Sweeping(self.work, self.writer, cases, self.seed).run(
                partial(progress, "layers")
            )
            found += depth_findings(cases, sweep, self.seed)
        if self.asked.faithfulness:
            perturbing = Perturbing(self.work, self.writer, cases, self.asked.methods, self.seed)
            faithful, table = perturbing.run(
                self.asked.faithfulness, partial(progress, "faithfulness")
            )
            pq.write_table(table, folder / "faithfulness.parquet")
            found += faithfulness_findings(cases, faithful, self.seed)
        return found
