"""The audit's TOML file, read into frozen records; unknown keys are refused by name."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from auditor.errors import ConfigurationError
from auditor.geometry import INTERPOLATIONS, Preprocess
from auditor.regions import RegionRoles
from auditor.types import RESERVED_REGIONS, Size


@dataclass(frozen=True)
class DatasetConfig:
    """Where the labelled images are and how to read them; paths are absolute once read."""

    path: Path
    format: str
    label: str = "label"
    attributes: tuple[str, ...] = ()
    split: str | None = None
    image_root: Path | None = None
    masks: Path | None = None
    cluster: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    mask_frame: Literal["auto", "stored", "displayed"] = "auto"


@dataclass(frozen=True)
class PreprocessConfig:
    """What `[model.preprocess]` says; None where it is silent, and the checkpoint decides."""

    resize: int | Size | None = None
    crop: int | Size | Literal[False] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str | None = None
    pad: int | Literal["square"] | None = None

    def over(self, default: Preprocess) -> Preprocess:
        """`default` with every value that the configuration gives put in its place.

        Raises `ConfigurationError` if mean and std then have different lengths.
        """
        mean, std = self.mean or default.mean, self.std or default.std
        if len(mean) != len(std):
            raise ConfigurationError(
                f"model.preprocess: mean is {list(mean)} and std {list(std)}; give both, with a "
                "value for each channel."
            )
        return Preprocess(
            resize=default.resize if self.resize is None else self.resize,
            crop=default.crop if self.crop is None else (self.crop or None),
            mean=mean,
            std=std,
            interpolation=self.interpolation or default.interpolation,
            pad=default.pad if self.pad is None else self.pad,
        )


@dataclass(frozen=True)
class ModelConfig:
    """Which classifier is audited; exactly one of architecture, factory and file is given."""

    architecture: str | None = None
    factory: str | None = None
    file: Path | None = None
    checkpoint: Path | None = None
    weights: str | None = None
    classes: tuple[str, ...] = ()
    layer: str = "auto"
    threshold: float | None = None
    expected_accuracy: float | None = None
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)


@dataclass(frozen=True)
class AuditConfig:
    """How the maps are made."""

    method: str = "gradcam"
    seed: int = 0


@dataclass(frozen=True)
class EvidenceConfig:
    """Which cases get interventions, and the attribute that each cue shows."""

    cases: Literal["suspects", "all"] | int = "suspects"
    donors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FinetuneConfig:
    """How `auditor finetune` trains; `start` is a local state dict of the architecture."""

    start: Path | None = None
    trunk: Literal["whole", "frozen"] = "whole"
    epochs: int = 5
    learning_rate: float = 0.001
    batch_size: int = 32
    validation: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Config:
    """One configuration file. `sha256` is of the file's bytes."""

    path: Path
    sha256: str
    dataset: DatasetConfig
    regions: RegionRoles
    model: ModelConfig
    audit: AuditConfig = AuditConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    finetune: FinetuneConfig = FinetuneConfig()


def read_config(path: str | Path) -> Config:
    """Read a configuration file.

    Relative paths in it start from its own folder. Raises `ConfigurationError` naming
    the file, the key and the value for anything that cannot be used.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        document = tomllib.loads(data.decode("utf-8-sig"))  # Windows editors add a mark
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}). Give the path of a TOML configuration; "
            "docs/configuration.md shows one."
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8 text; save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}.") from None
    return _Reader(path.resolve()).config(document, hashlib.sha256(data).hexdigest())


_MISSING = object()


class _Reader:
    """Walks the document; knows the file's path for its messages and relative paths."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def config(self, document: dict[str, Any], sha256: str) -> Config:
        known = {"dataset", "regions", "model", "audit", "evidence", "finetune"}
        self.refuse_unknown(document, known, "")
        for required in ("dataset", "model"):
            if required not in document:
                raise self.error(f"[{required}]", "is missing", f"add a [{required}] table")
        return Config(
            path=self.path,
            sha256=sha256,
            dataset=self.dataset(self.table(document, "dataset")),
            regions=self.regions(self.table(document, "regions")),
            model=self.model(self.table(document, "model")),
            audit=self.audit(self.table(document, "audit")),
            evidence=self.evidence(self.table(document, "evidence")),
            finetune=self.finetune(self.table(document, "finetune")),
        )

    # -- tables ---------------------------------------------------------------------------

    def dataset(self, table: dict[str, Any]) -> DatasetConfig:
        keys = (
            "path format label attributes split image_root masks cluster columns mask_frame"
        ).split()
        self.refuse_unknown(table, set(keys), "dataset.")
        get = self.getter(table, "dataset.")
        return DatasetConfig(
            path=get("path", self.a_path),
            format=get("format", _string),
            label=get("label", _string, "label"),
            attributes=get("attributes", _strings, ()),
            split=get("split", _string, None),
            image_root=get("image_root", self.a_path, None),
            masks=get("masks", self.a_path, None),
            cluster=get("cluster", _string, None),
            columns=get("columns", _string_table, {}),
            mask_frame=get("mask_frame", _one_of("auto", "stored", "displayed"), "auto"),
        )

    def regions(self, table: dict[str, Any]) -> RegionRoles:
        keys = {"subject", "cues", "rest", "subject_by_label", "index", "precedence"}
        self.refuse_unknown(table, keys, "regions.")
        get = self.getter(table, "regions.")
        roles = RegionRoles(
            subject=get("subject", _strings, ()),
            cues=get("cues", _strings, ()),
            rest=get("rest", _one_of("background", "unannotated"), "unannotated"),
            subject_by_label=get("subject_by_label", _strings_table, {}),
            precedence=get("precedence", _one_of("cues", "subject"), "cues"),
            index=get("index", _index_table, {}),
        )
        if roles.subject and roles.subject_by_label:
            raise self.error(
                "regions.subject_by_label",
                "is given beside regions.subject",
                "keep one: subject for all labels, or subject_by_label for each",
            )
        allowed = {"background"} if roles.rest == "background" else set()
        for name in sorted((roles.subject_names | set(roles.cues)) & RESERVED_REGIONS - allowed):
            raise self.error(
                "regions",
                f"names an annotated region {name!r}, a reserved word",
                'rename it, or set rest = "background" to make the background a cue',
            )
        for name in sorted(roles.subject_names & set(roles.cues)):
            raise self.error(
                "regions.cues", f"holds {name!r}, which is also a subject", "keep it in one list"
            )
        if roles.rest in roles.subject_names:
            raise self.error(
                "regions.subject",
                f"holds {roles.rest!r}, which is the rest",
                "name the annotated regions that decide the label",
            )
        return roles

    def model(self, table: dict[str, Any]) -> ModelConfig:
        keys = (
            "architecture factory file checkpoint weights classes layer threshold "
            "expected_accuracy preprocess"
        ).split()
        self.refuse_unknown(table, set(keys), "model.")
        get = self.getter(table, "model.")
        model = ModelConfig(
            architecture=get("architecture", _string, None),
            factory=get("factory", _string, None),
            file=get("file", self.a_path, None),
            checkpoint=get("checkpoint", self.a_path, None),
            weights=get("weights", _string, None),
            classes=get("classes", _strings, ()),
            layer=get("layer", _string, "auto"),
            threshold=get("threshold", _between(0, 1), None),
            expected_accuracy=get("expected_accuracy", _between(0, 1), None),
            preprocess=self.preprocess(self.table(table, "preprocess", "model.")),
        )
        given = [k for k in ("architecture", "factory", "file") if getattr(model, k) is not None]
        if len(given) > 1:
            raise self.error("model", f"gives {' and '.join(given)}", "keep exactly one of them")
        if model.checkpoint and model.weights:
            raise self.error("model", "gives both checkpoint and weights", "keep one of them")
        if model.checkpoint and model.file:
            raise self.error(
                "model.checkpoint", "is given beside model.file, which holds its weights", "drop it"
            )
        if model.weights and (model.file or model.factory):
            raise self.error(
                "model.weights",
                f"is given beside model.{'file' if model.file else 'factory'}",
                "drop it, since it names weights of a torchvision architecture",
            )
        if len(set(model.classes)) != len(model.classes):
            raise self.error(
                "model.classes", f"repeats a name: {list(model.classes)}", "name each class once"
            )
        return model

    def preprocess(self, table: dict[str, Any]) -> PreprocessConfig:
        keys = {"resize", "crop", "mean", "std", "interpolation", "pad"}
        self.refuse_unknown(table, keys, "model.preprocess.")
        get = self.getter(table, "model.preprocess.")
        return PreprocessConfig(
            resize=get("resize", _side_or_size, None),
            crop=get("crop", _crop, None),
            mean=get("mean", _numbers, None),
            std=get("std", _positive_numbers, None),
            interpolation=get("interpolation", _one_of(*INTERPOLATIONS), None),
            pad=get("pad", _pad, None),
        )

    def audit(self, table: dict[str, Any]) -> AuditConfig:
        self.refuse_unknown(table, {"method", "seed"}, "audit.")
        get = self.getter(table, "audit.")
        return AuditConfig(
            method=get("method", _string, "gradcam"), seed=get("seed", _whole_number, 0)
        )

    def evidence(self, table: dict[str, Any]) -> EvidenceConfig:
        self.refuse_unknown(table, {"cases", "donors"}, "evidence.")
        get = self.getter(table, "evidence.")
        return EvidenceConfig(
            cases=get("cases", _evidence_cases, "suspects"),
            donors=get("donors", _string_table, {}),
        )

    def finetune(self, table: dict[str, Any]) -> FinetuneConfig:
        keys = "start trunk epochs learning_rate batch_size validation seed".split()
        self.refuse_unknown(table, set(keys), "finetune.")
        get = self.getter(table, "finetune.")
        return FinetuneConfig(
            start=get("start", self.a_path, None),
            trunk=get("trunk", _one_of("whole", "frozen"), "whole"),
            epochs=get("epochs", _positive_whole_number, 5),
            learning_rate=get("learning_rate", _between(0, 1), 0.001),
            batch_size=get("batch_size", _positive_whole_number, 32),
            validation=get("validation", _between(0, 1), 0.2),
            seed=get("seed", _whole_number, 0),
        )

    # -- reading --------------------------------------------------------------------------

    def table(self, parent: dict[str, Any], name: str, prefix: str = "") -> dict[str, Any]:
        table = parent.get(name, {})
        if not isinstance(table, dict):
            raise self.error(
                f"{prefix}{name}", f"is {table!r}", f"write it as a table: [{prefix}{name}]"
            )
        return table

    def getter(self, table: dict[str, Any], prefix: str) -> Callable[..., Any]:
        def get(key: str, convert: Callable[[Any], Any], default: Any = _MISSING) -> Any:
            if key not in table:
                if default is _MISSING:
                    raise self.error(f"{prefix}{key}", "is missing", "add it")
                return default
            try:
                return convert(table[key])
            except _Unusable as unusable:
                raise self.error(
                    f"{prefix}{key}", f"is {table[key]!r}", f"give {unusable}"
                ) from None

        return get

    def refuse_unknown(self, table: Mapping[str, Any], known: set[str], prefix: str) -> None:
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, sorted(known), n=1)
                remedy = (
                    f"did you mean {prefix}{near[0]}?"
                    if near
                    else "known here: " + ", ".join(sorted(known))
                )
                raise self.error(f"{prefix}{key}", "is not a known key", remedy)

    def a_path(self, value: Any) -> Path:
        try:
            return (self.path.parent / Path(_string(value)).expanduser()).resolve()
        except (RuntimeError, ValueError) as error:  # no such user's home; a null character
            raise _Unusable(f"a path ({error})") from None

    def error(self, key: str, what: str, remedy: str) -> ConfigurationError:
        end = "" if remedy.endswith("?") else "."
        return ConfigurationError(f"{self.path}: {key} {what}; {remedy}{end}")


class _Unusable(Exception):
    """Says what would have been usable."""


def _string(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _Unusable("a string that is not empty")
    return value


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise _Unusable('a list of strings, such as ["face", "hair"]')
    if len(set(value)) != len(value):
        raise _Unusable("a list in which every name stands once")
    return tuple(value)


def _string_table(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise _Unusable("a table of strings")
    return dict(value)


def _strings_table(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise _Unusable('a table of lists, such as { trousers = ["pants", "jeans"] }')
    return {key: _strings(names) for key, names in value.items()}


def _index_table(value: Any) -> dict[int, str]:
    if not isinstance(value, dict) or not all(
        k.isdecimal() and int(k) <= 65535 and isinstance(v, str) and v for k, v in value.items()
    ):
        raise _Unusable('a table from pixel values to names, such as 13 = "face"')
    return {int(k): v for k, v in value.items()}


def _whole_number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _Unusable("a whole number, 0 or more")
    return value


def _positive_whole_number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _Unusable("a whole number, 1 or more")
    return value


def _between(low: float, high: float) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low < value < high:
            raise _Unusable(f"a number between {low} and {high}, both excluded")
        return float(value)

    return convert


def _one_of(*words: str) -> Callable[[Any], Any]:
    def convert(value: Any) -> str:
        if value not in words:
            raise _Unusable("one of " + ", ".join(f'"{word}"' for word in words))
        return str(value)

    return convert


def _numbers(value: Any) -> tuple[float, ...]:
    if (
        not isinstance(value, list)
        or len(value) not in (1, 3)
        or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
        or not all(-1e6 < v < 1e6 for v in value)  # neither nan nor inf, which TOML can say
    ):
        raise _Unusable("a list of three numbers, or of one for a grey-scale model")
    return tuple(float(v) for v in value)


def _positive_numbers(value: Any) -> tuple[float, ...]:
    numbers = _numbers(value)
    if min(numbers) <= 0:
        raise _Unusable("numbers above 0")
    return numbers


def _side_or_size(value: Any) -> int | Size:
    if isinstance(value, list) and len(value) == 2:
        return (_positive_whole_number(value[0]), _positive_whole_number(value[1]))
    if isinstance(value, list):
        raise _Unusable("the shorter side in pixels, or [height, width]")
    return _positive_whole_number(value)


def _crop(value: Any) -> int | Size | Literal[False]:
    return False if value is False else _side_or_size(value)


def _pad(value: Any) -> int | Literal["square"]:
    if value == "square":
        return "square"
    try:
        return _whole_number(value)
    except _Unusable:
        raise _Unusable('a number of pixels, or "square"') from None


def _evidence_cases(value: Any) -> Any:
    if value in ("suspects", "all"):
        return value
    try:
        return _whole_number(value)
    except _Unusable:
        raise _Unusable('"suspects", "all" or a number of cases (0 for none)') from None
