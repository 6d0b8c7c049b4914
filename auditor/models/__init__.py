"""Classifiers: loading them safely, and running them the way they were trained."""

from __future__ import annotations

from auditor.models.classifier import Classifier
from auditor.models.clip import Clip
from auditor.models.libraries import load_clip
from auditor.models.loading import describe, load_classifier

__all__ = ["Classifier", "Clip", "describe", "load_classifier", "load_clip"]
