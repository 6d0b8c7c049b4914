"""The audit's TOML file, read into frozen records; unknown keys are refused by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from auditor import values
from auditor.errors import ConfigurationError
from auditor.geometry import INTERPOLATIONS, Preprocess
from auditor.regions import RegionRoles
from auditor.toml import read_toml, refusal, refuse_unknown
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

    @property
    def whole(self) -> bool:
        """Whether size, crop, mean and std are all given, so that no model's own are needed."""
        return None not in (self.resize, self.crop, self.mean, self.std)

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
class PromptsConfig:
    """By which sentences a CLIP model knows each class: every word in every template."""

    templates: tuple[str, ...] = ("a photo of a {}.",)
    """Each with one `{}`, where the word stands."""
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Words for a class; a class without an entry goes by its name."""


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
    prompts: PromptsConfig | None = None
    """None where the configuration has no `[model.prompts]`."""


@dataclass(frozen=True)
class AuditConfig:
    """How the maps are made."""

    method: str = "gradcam"
    seed: int = 0
    methods: tuple[str, ...] = ()
    """Further methods that errors are judged with; none of them changes a flag."""
    layers: bool = False
    """Whether maps are also made at layers spread over the depth of the model."""
    faithfulness: int = 0
    """Cases on which it is measured how well maps foretell what taking pixels away does."""


@dataclass(frozen=True)
class EvidenceConfig:
    """Which cases get interventions, and the attribute that each cue shows."""

    cases: Literal["suspects", "all"] | int = "suspects"
    donors: Mapping[str, str] = field(default_factory=dict)
    tone: str | None = None
    """The attribute that a colour cast over the whole image shows; None tests for none."""

    def loose_tie(
        self, cues: Collection[str], attributes: Collection[str]
    ) -> tuple[str, str, str] | None:
        """The first tie to a cue or an attribute that is named nowhere; None where there is none.

        As key, what is wrong with it, and the remedy.
        """
        for cue in self.donors:
            if cue not in cues:
                known = ", ".join(cues) or "which is empty"
                return (
                    f"evidence.donors.{cue}",
                    "is no cue",
                    f"name one of regions.cues ({known}), or correct these",
                )
        ties = {f"evidence.donors.{cue}": attribute for cue, attribute in self.donors.items()}
        if self.tone is not None:
            ties["evidence.tone"] = self.tone
        for key, attribute in ties.items():
            if attribute not in attributes:
                known = ", ".join(attributes) or "which is empty"
                return (
                    key,
                    f"is {attribute!r}",
                    f"name one of dataset.attributes ({known}), or correct these",
                )
        return None


@dataclass(frozen=True)
class FinetuneConfig:
    """How `auditor finetune` trains; `start` is a local state dict of the architecture.

    `augment` names augmentations, in order. `patience` is the number of epochs without a
    better one that ends the training, 0 for never. `balance` is an attribute.
    """

    start: Path | None = None
    trunk: Literal["whole", "frozen"] = "whole"
    epochs: int = 5
    learning_rate: float = 0.001
    batch_size: int = 32
    validation: float = 0.2
    seed: int = 0
    augment: tuple[str, ...] = ("flip",)
    precision: Literal["auto", "full", "mixed"] = "auto"
    patience: int = 0
    balance: str | None = None
    balance_by: Literal["sampling", "subsampling"] = "sampling"


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
    document, digest = read_toml(path, "configuration", "docs/configuration.md")
    return _Reader(path.resolve()).config(document, digest)


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
        config = Config(
            path=self.path,
            sha256=sha256,
            dataset=self.dataset(self.table(document, "dataset")),
            regions=self.regions(self.table(document, "regions")),
            model=self.model(self.table(document, "model")),
            audit=self.audit(self.table(document, "audit")),
            evidence=self.evidence(self.table(document, "evidence")),
            finetune=self.finetune(self.table(document, "finetune")),
        )
        loose = config.evidence.loose_tie(config.regions.cues, config.dataset.attributes)
        if loose is not None:
            raise self.error(*loose)
        return config

    # -- tables ---------------------------------------------------------------------------

    def dataset(self, table: dict[str, Any]) -> DatasetConfig:
        keys = (
            "path format label attributes split image_root masks cluster columns mask_frame"
        ).split()
        self.refuse_unknown(table, set(keys), "dataset.")
        get = self.getter(table, "dataset.")
        return DatasetConfig(
            path=get("path", self.a_path),
            format=get("format", values.string),
            label=get("label", values.string, "label"),
            attributes=get("attributes", values.strings, ()),
            split=get("split", values.string, None),
            image_root=get("image_root", self.a_path, None),
            masks=get("masks", self.a_path, None),
            cluster=get("cluster", values.string, None),
            columns=get("columns", values.string_table, {}),
            mask_frame=get("mask_frame", values.one_of("auto", "stored", "displayed"), "auto"),
        )

    def regions(self, table: dict[str, Any]) -> RegionRoles:
        keys = {"subject", "cues", "rest", "subject_by_label", "index", "precedence"}
        self.refuse_unknown(table, keys, "regions.")
        get = self.getter(table, "regions.")
        roles = RegionRoles(
            subject=get("subject", values.strings, ()),
            cues=get("cues", values.strings, ()),
            rest=get("rest", values.one_of("background", "unannotated"), "unannotated"),
            subject_by_label=get("subject_by_label", values.strings_table, {}),
            precedence=get("precedence", values.one_of("cues", "subject"), "cues"),
            index=get("index", values.index_table, {}),
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
            "expected_accuracy preprocess prompts"
        ).split()
        self.refuse_unknown(table, set(keys), "model.")
        get = self.getter(table, "model.")
        model = ModelConfig(
            architecture=get("architecture", values.string, None),
            factory=get("factory", values.string, None),
            file=get("file", self.a_path, None),
            checkpoint=get("checkpoint", self.a_path, None),
            weights=get("weights", values.string, None),
            classes=get("classes", values.strings, ()),
            layer=get("layer", values.string, "auto"),
            threshold=get("threshold", values.between(0, 1), None),
            expected_accuracy=get("expected_accuracy", values.between(0, 1), None),
            preprocess=self.preprocess(self.table(table, "preprocess", "model.")),
            prompts=self.prompts(table) if "prompts" in table else None,
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
                "drop it, since it names weights of an architecture",
            )
        if model.prompts is not None and (model.file or model.factory):
            raise self.error(
                "model.prompts",
                f"is given beside model.{'file' if model.file else 'factory'}",
                "drop it, since it describes the classes of a CLIP architecture",
            )
        if len(set(model.classes)) != len(model.classes):
            raise self.error(
                "model.classes", f"repeats a name: {list(model.classes)}", "name each class once"
            )
        return model

    def prompts(self, model: dict[str, Any]) -> PromptsConfig:
        table = self.table(model, "prompts", "model.")
        self.refuse_unknown(table, {"templates", "words"}, "model.prompts.")
        get = self.getter(table, "model.prompts.")
        default = PromptsConfig()
        prompts = PromptsConfig(
            templates=get("templates", values.templates, default.templates),
            words=get("words", values.strings_table, default.words),
        )
        classes = model.get("classes", [])
        for name, words in prompts.words.items():
            key = f"model.prompts.words.{name}"
            if name not in classes:
                raise self.error(key, "is no class", f"name one of model.classes ({classes})")
            if not words:
                raise self.error(key, "is empty", "leave it out, and the class goes by its name")
        return prompts

    def preprocess(self, table: dict[str, Any]) -> PreprocessConfig:
        keys = {"resize", "crop", "mean", "std", "interpolation", "pad"}
        self.refuse_unknown(table, keys, "model.preprocess.")
        get = self.getter(table, "model.preprocess.")
        return PreprocessConfig(
            resize=get("resize", values.side_or_size, None),
            crop=get("crop", values.crop, None),
            mean=get("mean", values.numbers, None),
            std=get("std", values.positive_numbers, None),
            interpolation=get("interpolation", values.one_of(*INTERPOLATIONS), None),
            pad=get("pad", values.pad, None),
        )

    def audit(self, table: dict[str, Any]) -> AuditConfig:
        self.refuse_unknown(
            table, {"method", "seed", "methods", "layers", "faithfulness"}, "audit."
        )
        get = self.getter(table, "audit.")
        return AuditConfig(
            method=get("method", values.string, "gradcam"),
            seed=get("seed", values.whole_number, 0),
            methods=get("methods", values.strings, ()),
            layers=get("layers", values.true_or_false, False),
            faithfulness=get("faithfulness", values.whole_number, 0),
        )

    def evidence(self, table: dict[str, Any]) -> EvidenceConfig:
        self.refuse_unknown(table, {"cases", "donors", "tone"}, "evidence.")
        get = self.getter(table, "evidence.")
        return EvidenceConfig(
            cases=get("cases", values.evidence_cases, "suspects"),
            donors=get("donors", values.string_table, {}),
            tone=get("tone", values.string, None),
        )

    def finetune(self, table: dict[str, Any]) -> FinetuneConfig:
        keys = (
            "start trunk epochs learning_rate batch_size validation seed augment precision "
            "patience balance balance_by"
        ).split()
        self.refuse_unknown(table, set(keys), "finetune.")
        get = self.getter(table, "finetune.")
        return FinetuneConfig(
            start=get("start", self.a_path, None),
            trunk=get("trunk", values.one_of("whole", "frozen"), "whole"),
            epochs=get("epochs", values.positive_whole_number, 5),
            learning_rate=get("learning_rate", values.between(0, 1), 0.001),
            batch_size=get("batch_size", values.positive_whole_number, 32),
            validation=get("validation", values.between(0, 1), 0.2),
            seed=get("seed", values.whole_number, 0),
            augment=get("augment", values.strings, ("flip",)),
            precision=get("precision", values.one_of("auto", "full", "mixed"), "auto"),
            patience=get("patience", values.whole_number, 0),
            balance=get("balance", values.string, None),
            balance_by=get("balance_by", values.one_of("sampling", "subsampling"), "sampling"),
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
            except values.Unusable as unusable:
                raise self.error(
                    f"{prefix}{key}", f"is {table[key]!r}", f"give {unusable}"
                ) from None

        return get

    def refuse_unknown(self, table: Mapping[str, Any], known: set[str], prefix: str) -> None:
        refuse_unknown(self.path, table, known, prefix)

    def a_path(self, value: Any) -> Path:
        try:
            return (self.path.parent / Path(values.string(value)).expanduser()).resolve()
        except (RuntimeError, ValueError) as error:  # no such user's home; a null character
            raise values.Unusable(f"a path ({error})") from None

    def error(self, key: str, what: str, remedy: str) -> ConfigurationError:
        return refusal(self.path, key, what, remedy)
