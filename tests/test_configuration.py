"""The configuration file: everything it can say, and every way to say it wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor import Preprocess, read_config
from auditor.configuration import (
    AuditConfig,
    Config,
    EvidenceConfig,
    FinetuneConfig,
    ModelConfig,
    PreprocessConfig,
)
from auditor.errors import ConfigurationError
from auditor.regions import RegionRoles

# The example of the design, key by key.
FULL = """
[dataset]
path = "test.csv"
format = "manifest"
label = "label"
attributes = ["gender"]
split = "test"
image_root = "."
masks = "masks/"
cluster = "person_id"

[regions]
subject = ["garment", "equipment"]
cues = ["face", "hair"]
rest = "background"

[model]
architecture = "vgg16"
checkpoint = "vgg16_clinic.pt"
classes = ["doctor", "nurse"]
layer = "auto"
threshold = 0.5
expected_accuracy = 0.9

[model.preprocess]
resize = 256
crop = 224
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
interpolation = "bilinear"
pad = 0

[audit]
method = "gradcam"
seed = 0

[evidence]
cases = "suspects"
donors = { face = "gender", hair = "gender" }
"""

LEAST = """
[dataset]
path = "d.csv"
format = "manifest"
[model]
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Config]:
    def read(text: str) -> Config:
        path = tmp_path / "audit.toml"
        path.write_text(text, encoding="utf-8")
        return read_config(path)

    return read


@pytest.fixture
def refusal(read: Callable[[str], Config], tmp_path: Path) -> Callable[[str], str]:
    """The message for a text that is refused, after the file's path."""

    def refusal(text: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            read(text)
        path, message = f"{tmp_path / 'audit.toml'}: ", str(caught.value)
        assert message.startswith(path)
        return message.removeprefix(path)

    return refusal


def with_regions(lines: str) -> str:
    return f"{LEAST}[regions]\n{lines}\n"


def with_model(lines: str) -> str:
    return f"{LEAST}{lines}\n"


def with_preprocess(lines: str) -> str:
    return f"{LEAST}[model.preprocess]\n{lines}\n"


# -- what it says --------------------------------------------------------------------------


def test_the_full_example(read, tmp_path):
    config = read(FULL)
    dataset = config.dataset
    assert config.path == tmp_path / "audit.toml"
    assert config.sha256 == hashlib.sha256(FULL.encode()).hexdigest()
    assert (dataset.path, dataset.image_root, dataset.masks) == (
        tmp_path / "test.csv",
        tmp_path,
        tmp_path / "masks",
    )
    assert (dataset.format, dataset.label, dataset.attributes) == ("manifest", "label", ("gender",))
    assert (dataset.split, dataset.cluster, dataset.mask_frame) == ("test", "person_id", "auto")
    assert config.regions == RegionRoles(
        subject=("garment", "equipment"), cues=("face", "hair"), rest="background"
    )
    assert config.model == ModelConfig(
        architecture="vgg16",
        checkpoint=tmp_path / "vgg16_clinic.pt",
        classes=("doctor", "nurse"),
        threshold=0.5,
        expected_accuracy=0.9,
        preprocess=PreprocessConfig(
            resize=256,
            crop=224,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            interpolation="bilinear",
            pad=0,
        ),
    )
    assert config.audit == AuditConfig(method="gradcam", seed=0)
    assert config.evidence == EvidenceConfig("suspects", {"face": "gender", "hair": "gender"})


def test_only_path_and_format_are_needed(read):
    config = read(LEAST)
    assert (config.dataset.label, config.dataset.attributes) == ("label", ())
    assert config.regions == RegionRoles()
    assert config.model == ModelConfig()
    assert config.audit == AuditConfig()
    assert config.evidence == EvidenceConfig()
    assert config.finetune == FinetuneConfig()


def test_the_tables_that_the_example_leaves_out(read):
    config = read(
        LEAST
        + """
        [regions]
        subject_by_label = { trousers = ["pants", "jeans"], dress = ["dress"] }
        precedence = "subject"
        index = { 13 = "face", 2 = "hair" }
        [dataset.columns]
        image = "file"
        "region.face" = "face_mask"
        [finetune]
        start = "trunk.pt"
        trunk = "frozen"
        epochs = 2
        learning_rate = 0.01
        batch_size = 4
        validation = 0.5
        seed = 7
        augment = ["shift", "flip"]
        precision = "mixed"
        patience = 3
        balance = "gender"
        balance_by = "subsampling"
        """
    )
    assert config.regions.subject_by_label == {"trousers": ("pants", "jeans"), "dress": ("dress",)}
    assert config.regions.precedence == "subject"
    assert config.regions.index == {13: "face", 2: "hair"}
    assert config.dataset.columns == {"image": "file", "region.face": "face_mask"}
    start = config.path.parent / "trunk.pt"
    assert config.finetune == FinetuneConfig(
        start,
        "frozen",
        epochs=2,
        learning_rate=0.01,
        batch_size=4,
        validation=0.5,
        seed=7,
        augment=("shift", "flip"),
        precision="mixed",
        patience=3,
        balance="gender",
        balance_by="subsampling",
    )


@pytest.mark.parametrize("cases", ['"all"', '"suspects"', "0", "12"])
def test_evidence_cases(read, cases):
    assert read(f"{LEAST}[evidence]\ncases = {cases}\n").evidence.cases == (
        int(cases) if cases.isdigit() else cases.strip('"')
    )


# -- paths ---------------------------------------------------------------------------------


def test_paths_start_from_the_files_folder_wherever_it_is_called_from(tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "audit.toml").write_text(
        LEAST.replace("d.csv", "../data/d.csv") + 'checkpoint = "/models/m.pt"\n'
    )
    monkeypatch.chdir(tmp_path)
    config = read_config("inside/audit.toml")
    assert config.path == tmp_path / "inside" / "audit.toml"
    assert config.dataset.path == tmp_path / "data" / "d.csv"
    assert config.model.checkpoint == Path("/models/m.pt").resolve()


def test_the_home_folder(read, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert read(LEAST.replace("d.csv", "~/d.csv")).dataset.path == tmp_path / "home" / "d.csv"


@pytest.mark.parametrize(("value", "cause"), [("~no-such-user/d", "home"), ("a\\u0000b", "null")])
def test_a_path_that_cannot_be_one(refusal, value, cause):
    message = refusal(LEAST.replace("d.csv", value))
    assert message.startswith("dataset.path is ")
    assert "give a path (" in message
    assert cause in message


# -- the file itself -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "cannot be read (No such file or directory). Give the path of a TOML"),
        (b"[dataset", "is not valid TOML: Expected ']'"),
        (b"a = 1\na = 2\n", "is not valid TOML: Cannot overwrite a value (at line 2"),
        (b"[dataset]\npath = 'caf\xe9.csv'\n", "is not UTF-8 text; save it as UTF-8."),
        ("[dataset]\n".encode("utf-16"), "is not UTF-8 text; save it as UTF-8."),
    ],
)
def test_files_that_are_no_configuration(tmp_path, content, cause):
    path = tmp_path / "audit.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=re.escape(f"{path}: {cause}")):
        read_config(path)


def test_a_folder_instead_of_a_file(tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot be read \(Is a directory\)"):
        read_config(tmp_path)


def test_the_mark_that_windows_editors_put_first(tmp_path):
    path = tmp_path / "audit.toml"
    path.write_bytes(b"\xef\xbb\xbf" + LEAST.encode())
    config = read_config(path)
    assert config.dataset.format == "manifest"
    assert config.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


# -- unknown keys --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "key", "meant"),
    [
        ("", "datasets", "dataset"),
        ("dataset.", "atributes", "dataset.attributes"),
        ("regions.", "cue", "regions.cues"),
        ("model.", "architekture", "model.architecture"),
        ("model.preprocess.", "centre_crop", None),
        ("model.preprocess.", "interpolate", "model.preprocess.interpolation"),
        ("audit.", "metod", "audit.method"),
        ("evidence.", "donor", "evidence.donors"),
        ("finetune.", "epoch", "finetune.epochs"),
        ("finetune.", "zzz", None),
    ],
)
def test_an_unknown_key_is_named_with_what_may_be_meant(refusal, table, key, meant):
    name = table.rstrip(".")
    text = FULL.replace(f"[{name}]\n", f"[{name}]\n{key} = 1\n") if name else f"{key} = 1\n{FULL}"
    if name == "finetune":
        text += f"\n[finetune]\n{key} = 1\n"
    message = refusal(text)
    assert message.startswith(f"{table}{key} is not a known key; ")
    if meant:
        assert message.endswith(f"; did you mean {meant}?")
    else:
        assert "known here: " in message


def test_every_field_of_every_record_can_be_written_in_the_file(refusal):
    # The message for an unknown key lists all known ones, and the records hold no other.
    records = {
        "model": ModelConfig,
        "model.preprocess": PreprocessConfig,
        "audit": AuditConfig,
        "evidence": EvidenceConfig,
        "finetune": FinetuneConfig,
        "regions": RegionRoles,
    }
    for table, record in records.items():
        text = f'[dataset]\npath = "p"\nformat = "f"\n[{table}]\nqqqqqq = 1\n'
        known = refusal(text if "model" in table else f"[model]\n{text}").split("known here: ")[1]
        fields = {field.name for field in dataclasses.fields(record)}
        assert set(known.rstrip(".").split(", ")) == fields, table


# -- values --------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["dataset", "model"])
def test_a_table_that_is_missing(refusal, table):
    name = "model" if table == "dataset" else "dataset"
    assert refusal(f"[{name}]\n") == f"[{table}] is missing; add a [{table}] table."


@pytest.mark.parametrize("key", ["path", "format"])
def test_a_key_that_is_missing(refusal, key):
    text = "".join(line for line in LEAST.splitlines(True) if not line.startswith(key))
    assert refusal(text) == f"dataset.{key} is missing; add it."


@pytest.mark.parametrize(
    ("table", "line", "remedy"),
    [
        ("dataset", "split = 3", "give a string that is not empty"),
        ("dataset", 'label = ""', "give a string that is not empty"),
        ("dataset", 'attributes = "gender"', "give a list of strings"),
        ("dataset", 'attributes = ["a", "a"]', "every name stands once"),
        ("dataset", "columns = { image = 3 }", "give a table of strings"),
        ("dataset", 'mask_frame = "turned"', 'give one of "auto", "stored", "displayed"'),
        ("regions", 'subject = ["coat", 1]', "give a list of strings"),
        ("regions", 'cues = [""]', "give a list of strings"),
        ("regions", 'rest = "void"', 'give one of "background", "unannotated"'),
        ("regions", "rest = []", 'give one of "background", "unannotated"'),
        ("regions", 'precedence = "first"', 'give one of "cues", "subject"'),
        ("regions", "subject_by_label = 1", "give a table of lists"),
        ("regions", 'subject_by_label = { a = "b" }', "give a list of strings"),
        ("regions", 'index = { face = "13" }', "give a table from pixel values to names"),
        ("regions", 'index = { 65536 = "face" }', "give a table from pixel values to names"),
        ("regions", 'index = { "²" = "face" }', "give a table from pixel values to names"),
        ("model", 'classes = "doctor"', "give a list of strings"),
        ("model", 'classes = ["a", "b", "a"]', "every name stands once"),
        ("model", "threshold = 0", "a number between 0 and 1, both excluded"),
        ("model", "threshold = 1.0", "a number between 0 and 1, both excluded"),
        ("model", "threshold = nan", "a number between 0 and 1, both excluded"),
        ("model", "threshold = true", "a number between 0 and 1, both excluded"),
        ("model", 'expected_accuracy = "90 %"', "a number between 0 and 1"),
        ("model.preprocess", "resize = 0", "give a whole number, 1 or more"),
        ("model.preprocess", "resize = 256.0", "give a whole number, 1 or more"),
        ("model.preprocess", "resize = [256]", "the shorter side in pixels, or [height, width]"),
        ("model.preprocess", "resize = [256, 0]", "give a whole number, 1 or more"),
        ("model.preprocess", "crop = true", "give a whole number, 1 or more"),
        ("model.preprocess", "mean = [0.5, 0.5]", "three numbers, or of one for a grey-scale"),
        ("model.preprocess", "mean = 0.5", "three numbers, or of one for a grey-scale"),
        ("model.preprocess", "mean = [nan, 0.5, 0.5]", "three numbers"),
        ("model.preprocess", "std = [inf, 1, 1]", "three numbers"),
        ("model.preprocess", "std = [0.2, 0, 0.2]", "give numbers above 0"),
        ("model.preprocess", 'interpolation = "cubic"', '"bicubic"'),
        ("model.preprocess", "pad = -1", 'a number of pixels, or "square"'),
        ("model.preprocess", 'pad = "circle"', 'a number of pixels, or "square"'),
        ("audit", "seed = -1", "give a whole number, 0 or more"),
        ("audit", "seed = true", "give a whole number, 0 or more"),
        ("audit", "method = 1", "give a string"),
        ("evidence", "cases = -1", '"suspects", "all" or a number'),
        ("evidence", 'cases = "some"', '"suspects", "all" or a number'),
        ("evidence", "donors = { face = 1 }", "give a table of strings"),
        ("finetune", "epochs = 0", "give a whole number, 1 or more"),
        ("finetune", "validation = 1", "a number between 0 and 1"),
        ("finetune", 'trunk = "half"', 'give one of "whole", "frozen"'),
        ("finetune", 'augment = "flip"', "give a list of strings"),
        ("finetune", 'precision = "half"', 'give one of "auto", "full", "mixed"'),
        ("finetune", "patience = -1", "give a whole number, 0 or more"),
        ("finetune", 'balance = ""', "give a string that is not empty"),
        ("finetune", 'balance_by = "luck"', 'give one of "sampling", "subsampling"'),
    ],
)
def test_values_of_the_wrong_kind(refusal, table, line, remedy):
    text = LEAST if f"[{table}]" in LEAST else f"{LEAST}[{table}]\n"
    message = refusal(text.replace(f"[{table}]\n", f"[{table}]\n{line}\n"))
    assert message.startswith(f"{table}.{line.split(' =')[0]} is ")
    assert remedy in message


def test_the_message_shows_the_value(refusal):
    assert refusal(with_model("threshold = 1.5")) == (
        "model.threshold is 1.5; give a number between 0 and 1, both excluded."
    )


@pytest.mark.parametrize("table", ["dataset", "regions", "model", "audit", "evidence", "finetune"])
def test_a_value_where_a_table_belongs(refusal, table):
    text = f"{table} = 3\n"
    text += 'dataset = { path = "p", format = "f" }\n' if table != "dataset" else ""
    text += "model = {}\n" if table != "model" else ""
    assert refusal(text) == f"{table} is 3; write it as a table: [{table}]."


def test_preprocess_as_a_value(refusal):
    message = refusal(with_model('preprocess = "imagenet"'))
    assert message == ("model.preprocess is 'imagenet'; write it as a table: [model.preprocess].")


# -- contradictions ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            'subject = ["a"]\nsubject_by_label = { x = ["b"] }',
            "regions.subject_by_label is given beside regions.subject",
        ),
        ('subject = ["face"]\ncues = ["face"]', "regions.cues holds 'face', which is also a"),
        (
            'subject_by_label = { x = ["a"], y = ["face"] }\ncues = ["face"]',
            "regions.cues holds 'face', which is also a subject",
        ),
        ('subject = ["subject"]', "names an annotated region 'subject', a reserved word"),
        ('cues = ["padding"]', "names an annotated region 'padding', a reserved word"),
        ('cues = ["background"]', "names an annotated region 'background', a reserved word"),
        ('cues = ["unannotated"]', "names an annotated region 'unannotated', a reserved"),
        (
            'cues = ["unannotated"]\nrest = "background"',
            "names an annotated region 'unannotated', a reserved word",
        ),
        ('subject_by_label = { x = ["padding"] }', "'padding', a reserved word"),
        (
            'subject = ["background"]\nrest = "background"',
            "regions.subject holds 'background', which is the rest",
        ),
    ],
)
def test_regions_that_contradict_each_other(refusal, lines, message):
    assert message in refusal(with_regions(lines))


def test_the_background_may_be_a_cue_once_it_is_declared(read):
    roles = read(
        with_regions('subject = ["a"]\ncues = ["background"]\nrest = "background"')
    ).regions
    assert roles.cues == ("background",)
    assert roles.named == {"a"}  # no annotation has to provide it


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('architecture = "resnet18"\nfactory = "m:f"', "model gives architecture and factory"),
        ('factory = "m:f"\nfile = "m.pt2"', "model gives factory and file"),
        ('checkpoint = "m.pt"\nweights = "DEFAULT"', "model gives both checkpoint and weights"),
        ('file = "m.pt2"\ncheckpoint = "m.pt"', "model.checkpoint is given beside model.file"),
        ('file = "m.pt2"\nweights = "DEFAULT"', "model.weights is given beside model.file"),
        ('factory = "m:f"\nweights = "DEFAULT"', "model.weights is given beside model.factory"),
    ],
)
def test_models_that_contradict_themselves(refusal, lines, message):
    assert refusal(with_model(lines)).startswith(message)


# -- preprocessing over a default ----------------------------------------------------------

DEFAULT = Preprocess(
    resize=232, crop=224, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), interpolation="bicubic", pad=3
)


def over(read: Callable[[str], Config], lines: str) -> Preprocess:
    return read(with_preprocess(lines)).model.preprocess.over(DEFAULT)


@pytest.mark.parametrize(
    ("lines", "changes"),
    [
        ("", {}),
        ("resize = 64", {"resize": 64}),
        ("resize = [32, 40]", {"resize": (32, 40)}),
        ("crop = false", {"crop": None}),
        ("crop = [20, 30]", {"crop": (20, 30)}),
        ("pad = 0", {"pad": 0}),
        ('pad = "square"', {"pad": "square"}),
        ("mean = [0, 0, 0]", {"mean": (0.0, 0.0, 0.0)}),
        ("std = [1, 1, 1]", {"std": (1.0, 1.0, 1.0)}),
        ("mean = [0.5]\nstd = [0.25]", {"mean": (0.5,), "std": (0.25,)}),
        ('interpolation = "nearest"', {"interpolation": "nearest"}),
    ],
)
def test_preprocessing_replaces_only_what_is_given(read, lines, changes):
    assert over(read, lines) == dataclasses.replace(DEFAULT, **changes)


def test_mean_and_std_of_different_lengths(read):
    with pytest.raises(ConfigurationError, match=r"mean is \[0\.5\] and std \[0\.4, 0\.5, 0\.6\]"):
        over(read, "mean = [0.5]")


@pytest.mark.parametrize(
    ("tie", "told"),
    [
        ('donors = { hat = "gender" }', r"evidence.donors.hat is no cue; .*\(face, hair\)"),
        ('donors = { face = "age" }', r"evidence.donors.face is 'age'; .*\(gender\)"),
        ('tone = "lamp"', r"evidence.tone is 'lamp'; .*\(gender\)"),
    ],
)
def test_ties_to_what_is_not_named_are_refused(
    read: Callable[[str], Config], tie: str, told: str
) -> None:
    text = FULL.replace('donors = { face = "gender", hair = "gender" }', tie)
    with pytest.raises(ConfigurationError, match=told):
        read(text)
