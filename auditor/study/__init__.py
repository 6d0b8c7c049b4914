"""The doctor/nurse study of the Grad-CAM paper, on rendered scenes, over arms and seeds.

cells = run_study(Path("study"), Plan(), range(10), tuple(ARMS))
write_results(Path("study"), Plan(), cells)
"""

from auditor.study.arms import ARMS
from auditor.study.plan import Plan
from auditor.study.running import run_study
from auditor.study.writing import write_results

__all__ = ["ARMS", "Plan", "run_study", "write_results"]
