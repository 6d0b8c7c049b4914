"""Shared by all tests."""

from __future__ import annotations

from auditor.models.operators import torchvision

# Before any peer imports torchvision by itself, which fails beside a CPU-only torch.
torchvision()
