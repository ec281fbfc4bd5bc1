"""How the package hangs together: who imports whom, what is exported, what an import costs."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import snnkit

ROOT = Path(snnkit.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# A part may import the parts of its own level that are named, and everything on lower levels.
BASE = ["errors", "checks", "registry", "surrogate", "sequence", "files"]
LEVELS = {name: 0 for name in BASE}
LEVELS |= {"fusing": 1, "kernels": 1, "readout": 1, "encoding": 1, "losses": 1, "data": 2, "points": 2}
LEVELS |= {"neurons": 2, "layers": 3, "engine": 3, "models": 4}
LEVELS |= {name: 5 for name in ("quant", "energy", "train", "interop", "plot")}
LEVELS |= {"cli_ablate": 6, "cli_data": 6, "cli": 7, "__main__": 8}
FOREIGN_FREE = ("energy", "quant")  # know modules through protocols only, so that foreign models work
NO_MODEL_CLASSES = {"layers", "models"}


def part_of(path: Path) -> str:
    """``snnkit/neurons/lif.py`` -> ``neurons``."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path, *, at_run_time: bool = True) -> set[str]:
    """Parts of snnkit that a file imports, also inside functions; not those for type checking only."""
    tree, found = ast.parse(path.read_text()), set()
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    package = path.relative_to(ROOT.parent).parent.parts
    for node in ast.walk(tree):
        if at_run_time and id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "snnkit" else [module]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("snnkit.")}
    return found - {"__version__"}


def public(path: Path) -> list[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


def test_every_part_has_a_level() -> None:
    assert {part_of(path) for path in FILES} - {"__init__"} <= set(LEVELS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_dependencies_point_downwards(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    for other in imports(path) - {part}:
        allowed = LEVELS[other] < LEVELS[part]
        if part in BASE:
            allowed = other in BASE[: BASE.index(part)]
        elif LEVELS[other] == LEVELS[part] == 5:
            allowed = other in FOREIGN_FREE or other == "plot"  # reports are drawn, results are priced
        assert allowed, f"{part} imports {other}"


@pytest.mark.parametrize("part", FOREIGN_FREE)
def test_protocols_only(part: str) -> None:
    used = {other for path in FILES if part_of(path) == part for other in imports(path)}
    assert not used & NO_MODEL_CLASSES


@pytest.mark.parametrize("part", ["kernels", "points", "neurons", "layers", "models"])
def test_every_module_is_exported(part: str) -> None:
    """What a file declares public is public in its package, and the package invents nothing."""
    package = importlib.import_module(f"snnkit.{part}")
    for path in FILES:
        if part_of(path) == part and path.name[0] != "_":
            names = public(path)
            assert names, f"{path.name} has no __all__"
            exported = set(names) & set(package.__all__)
            assert exported, f"{path.name} exports nothing into snnkit.{part}"
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__module__.startswith("snnkit.")
    assert package.__all__ == sorted(package.__all__, key=_ruff_order)


def _ruff_order(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_all_names_exist(path: Path) -> None:
    tree = ast.parse(path.read_text())
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            defined |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    assert set(public(path)) <= defined


def test_a_name_is_defined_once() -> None:
    """One class or public function per name over the whole package: no second MLP, no copied helper."""
    homes = defaultdict(list)
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and node.name[0] != "_"):
                homes[node.name].append(str(path.relative_to(ROOT)))
    assert not {name: where for name, where in homes.items() if len(where) > 1 and name != "main"}


def test_the_public_surface() -> None:
    for name in snnkit.__all__:
        if importlib.util.find_spec(f"snnkit.{name}") is None and name in snnkit._HOME:
            home = ROOT / snnkit._HOME[name]
            if not (home.is_dir() or home.with_suffix(".py").is_file()):
                pytest.fail(f"snnkit.{name} has no home {home.name}")
        assert getattr(snnkit, name) is not None, name
    assert set(dir(snnkit)) == {*snnkit.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'LFI'"):
        _ = snnkit.LFI


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 450, "split the file: one idea per file"


def test_most_files_are_small() -> None:
    lengths = sorted(len(path.read_text().splitlines()) for path in FILES)
    assert lengths[len(lengths) // 2] <= 150
    assert sum(n > 300 for n in lengths) <= len(lengths) // 10


def fresh(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT.parent
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


HEAVY = ["torch", "numpy", "matplotlib", "lightning", "rich", "sklearn", "jsonargparse", "safetensors"]


def test_import_is_light() -> None:
    assert fresh(f"import snnkit, sys; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_core_needs_torch_only() -> None:
    code = "import snnkit, sys; snnkit.create_model('sdt_test'); print([m for m in {} if m in sys.modules])"
    heavy = [m for m in HEAVY if m not in ("torch", "numpy")]
    heavy += ["scipy", "pandas", "torch._dynamo", "spikingjelly", "snntorch", "norse"]
    assert fresh(code.format(heavy)) == "[]"


def test_command_line_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from snnkit.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'lightning', 'matplotlib') if m in sys.modules])"
    )
    assert fresh(code).endswith("[]")
