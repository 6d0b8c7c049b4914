"""torchvision beside any build of torch, and what importing Auditor does not bring along."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import types

import pytest

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
def imports(monkeypatch: pytest.MonkeyPatch):
    """Lets a test say what importing torchvision does, in turn; counts declarations."""

    def prepare(*outcomes: object) -> list[str]:
        declared: list[str] = []
        turns = iter(outcomes)

        def import_module(name: str) -> object:
            assert name == "torchvision"
            outcome = next(turns)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(operators.importlib, "import_module", import_module)
        monkeypatch.setattr(operators, "declare_operators", lambda: declared.append("declared"))
        # What a failed import leaves behind is purged, so keep the real one out of reach.
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            monkeypatch.delitem(sys.modules, name)
        operators.torchvision.cache_clear()
        return declared

    yield prepare
    operators.torchvision.cache_clear()
    monkeypatch.undo()
    operators.torchvision()


MISSING = RuntimeError("operator torchvision::nms does not exist")


def test_nothing_is_declared_where_the_compiled_library_loads(imports):
    # Declaring an operator that the library brings ends the process.
    whole = types.ModuleType("torchvision")
    declared = imports(whole)
    assert operators.torchvision() is whole
    assert declared == []


def test_missing_operators_are_declared_and_the_import_repeated(imports, monkeypatch):
    whole = types.ModuleType("torchvision")
    declared = imports(MISSING, whole)
    monkeypatch.setitem(sys.modules, "torchvision.extension", types.ModuleType("half"))
    assert operators.torchvision() is whole
    assert declared == ["declared"]
    assert "torchvision.extension" not in sys.modules


def test_another_failure_of_the_import_is_not_hidden(imports):
    declared = imports(RuntimeError("CUDA driver is too old"))
    with pytest.raises(RuntimeError, match="too old"):
        operators.torchvision()
    assert declared == []


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
