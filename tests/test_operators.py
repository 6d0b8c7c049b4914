"""torchvision beside any build of torch, and what importing Auditor does not bring along."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import torch

from auditor.errors import ModelError
from auditor.models import operators


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_is_usable_in_a_fresh_interpreter():
    told = python(
        """
        import sys
        from auditor.models.operators import torchvision
        assert "torchvision" not in sys.modules
        found = torchvision()
        import torch
        import torchvision as plain
        assert found is plain is torchvision()
        network = found.models.get_model("squeezenet1_1", num_classes=3).eval()
        print(tuple(network(torch.zeros(1, 3, 64, 64)).shape))
        """
    )
    assert told == "(1, 3)"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> object:
    """`declare_missing` as a process calls it first."""
    operators.declare_missing.cache_clear()
    yield operators.declare_missing
    operators.declare_missing.cache_clear()


def test_nothing_is_declared_where_the_compiled_library_loads(fresh, monkeypatch):
    loaded: list[str] = []
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    assert fresh() is None
    assert fresh() is None
    assert len(loaded) == 1
    assert "torchvision" in loaded[0]
    assert "_C" in loaded[0]


def test_the_declaration_is_made_once(fresh, monkeypatch):
    made: list[str] = []

    class Library:
        def __init__(self, *names: str) -> None:
            made.append("/".join(names))

        def define(self, schema: str) -> None:
            made.append(schema.partition("(")[0])

    def refused(path: str) -> None:
        raise OSError(f"{path}: undefined symbol")

    monkeypatch.setattr(torch.ops, "load_library", refused)
    monkeypatch.setattr(torch.library, "Library", Library)
    kept = fresh()
    assert isinstance(kept, Library)
    assert fresh() is kept  # a second declaration of an operator would raise
    assert made == ["torchvision/FRAGMENT", "nms", "qnms"]


def test_torchvision_that_cannot_be_imported(monkeypatch):
    operators.torchvision.cache_clear()
    monkeypatch.setitem(sys.modules, "torchvision", None)  # makes `import torchvision` fail
    try:
        with pytest.raises(ModelError, match=r"cannot be imported \(.*\); install torchvision"):
            operators.torchvision()
    finally:
        monkeypatch.undo()
        operators.torchvision.cache_clear()


def test_importing_auditor_brings_only_itself():
    told = python(
        """
        import sys
        import auditor
        print(sorted(name for name in sys.modules if name.startswith("auditor")))
        """
    )
    assert told == "['auditor']"


def test_what_brings_neither_torch_nor_streamlit():
    # In one interpreter, in turn: whichever brings it first is named.
    told = python(
        """
        import sys
        for statement in (
            "auditor.read_config, auditor.open_run, auditor.RegionRoles, auditor.Preprocess",
            "import auditor.store",
            "import auditor.findings",
            "auditor.open_dataset",
            "import auditor.cli.show",
            "import auditor.cli.validate",
            "import auditor.cli",
        ):
            exec(f"import auditor; {statement}")
            for heavy in ("torch", "torchvision", "streamlit"):
                assert heavy not in sys.modules, f"{statement} brings {heavy}"
        print("none")
        """
    )
    assert told == "none"
