"""The ladder of imports, read from the source: upper layers import lower ones, never back."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import auditor

PACKAGE = Path(auditor.__file__).parent

# A new module or package under auditor/ gets its place here, as docs and design give it.
LAYERS = {
    "types": 0,
    "errors": 0,
    "files": 0,
    "hashing": 0,
    "language": 0,
    "configuration": 1,
    "correlations": 1,
    "explanations": 1,
    "geometry": 1,
    "groups": 1,
    "measures": 1,
    "permutations": 1,
    "rates": 1,
    "reasons": 1,
    "regions": 1,
    "sample": 1,
    "scenes": 1,
    "statistics": 1,
    "thresholds": 1,
    "toml": 1,
    "values": 1,
    "store": 1,
    "cam": 2,
    "datasets": 2,
    "evidence": 2,
    "findings": 2,
    "models": 2,
    "reviews": 2,
    "changes": 2.5,  # made of datasets and evidence
    "pipeline": 3,
    "figures": 4,
    "policies": 4,
    "report": 4,
    "study": 4,
    "discovery": 4.75,  # its tasks are exports, its page is made of what the report has
    "exports": 4.5,  # the model card is made of what the report says
    "cli": 6,
    "dashboard": 5,
    "__main__": 7,
}
WITH_TORCH = {"cam", "models", "pipeline", "study"}
BELOW_AND_BESIDE = {0, 1}  # layers whose modules may import each other, without cycles


def modules() -> dict[str, ast.Module]:
    """Every module of the package: dotted name to syntax tree."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """Dotted names that a module imports, inside functions and TYPE_CHECKING too."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)


def part(name: str) -> str:
    """The module's place in the table: the name after `auditor`."""
    return name.split(".")[1] if "." in name else ""


def own(name: str) -> set[str]:
    return {found for found in imports(name) if found.split(".")[0] == "auditor"}


def test_every_module_has_a_layer():
    assert {part(name) for name in MODULES} - {""} <= set(LAYERS)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "auditor"])
def test_a_module_imports_only_what_lies_below_it(name):
    layer = LAYERS[part(name)]
    for found in own(name):
        if part(found) == part(name) != "":
            continue
        # The package itself stands above all that it offers.
        below = 3 if found == "auditor" else LAYERS[part(found)]
        beside = below == layer and layer in BELOW_AND_BESIDE
        assert below < layer or beside, f"{name} (layer {layer}) imports {found} (layer {below})"


def test_modules_of_the_lowest_layers_import_each_other_without_cycles():
    low = [name for name in MODULES if part(name) and LAYERS[part(name)] in BELOW_AND_BESIDE]
    graph = {name: own(name) - {name} for name in low}
    for name in low:  # a package's modules come before what the package offers
        graph[name] = {found for found in graph[name] if found in low}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


@pytest.mark.parametrize("name", [name for name in MODULES if name != "auditor"])
def test_only_some_packages_import_torch_and_only_the_dashboard_streamlit(name):
    tops = {found.split(".")[0] for found in imports(name)}
    if part(name) not in WITH_TORCH:
        assert not tops & {"torch", "torchvision"}
    if part(name) != "dashboard":
        assert "streamlit" not in tops
    if part(name) != "figures":
        assert "plotly" not in tops


def test_torchvision_is_imported_at_one_place_only():
    importers = {n for n in MODULES if any(f.split(".")[0] == "torchvision" for f in imports(n))}
    assert importers <= {"auditor.models.operators"}


@pytest.mark.parametrize(
    "part_name",
    [
        "store",
        "findings",
        "datasets",
        "changes",
        "reviews",
        "report",
        "exports",
        "figures",
        "policies",
        "dashboard",
    ],
)
def test_reading_a_run_reaches_torch_by_no_path(part_name):
    todo = [name for name in MODULES if part(name) == part_name]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += own(name) - {"auditor"}
    assert not {part(name) for name in seen} & WITH_TORCH


def test_showing_a_run_reaches_torch_by_no_path():
    reached = {"auditor.cli.show"}
    while more := {found for name in reached for found in own(name)} - reached:
        reached |= more
    assert "auditor" not in reached  # whose names bring torch
    assert not {part(name) for name in reached} & WITH_TORCH


def test_the_top_of_the_package_imports_nothing_of_its_own_when_it_is_imported():
    tree = MODULES["auditor"]
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            tops = {alias.name for alias in node.names}
            assert not any(name.startswith("auditor") for name in tops)
            assert not str(getattr(node, "module", "")).startswith("auditor")


# -- public names --------------------------------------------------------------------------


def test_public_names_are_sorted_and_resolve():
    assert auditor.__all__ == sorted(auditor.__all__)
    assert len(set(auditor.__all__)) == len(auditor.__all__)
    for name in auditor.__all__:
        assert getattr(auditor, name).__name__ == name


def test_no_other_name_is_public():
    declared = set(auditor.__all__)
    typed = {
        alias.name
        for node in MODULES["auditor"].body
        if isinstance(node, ast.If)  # the TYPE_CHECKING block
        for line in node.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert typed == declared
    assert set(auditor._HOMES) == declared
    submodules = {part(name) for name in MODULES}
    assert not declared & (submodules - {"audit"})
    assert "audit" not in submodules  # a module of that name would shadow the function
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = auditor.nothing
    assert declared <= set(dir(auditor))


@pytest.mark.parametrize(
    "name",
    [name for name, tree in MODULES.items() if name != "auditor" and "__all__" in ast.dump(tree)],
)
def test_what_a_package_lists_is_there_and_sorted(name):
    module = importlib.import_module(name)
    for public in module.__all__:
        assert hasattr(module, public), f"{name}.{public}"
    assert len(set(module.__all__)) == len(module.__all__)
