"""Who may import whom: the rooms of the house, from the ground up, and every import of the tree.

Imports inside functions and for types count as well. A package may import itself, what stands in
its row, and nothing else; so may no circle of modules be drawn.
"""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GROUND = {
    "binary_digits",
    "encodings",
    "errors",
    "files",
    "parallel",
    "ragged",
    "ranks",
    "tables",
    "visible",
}
CORE = {"text", "model", "coding", "survey", "describe", "display", "bundle", "explain"}
FRAME = {"bundle", "display", "describe", "portrait"}
# What reads a text live asks the model, inside functions alone (test_packaging holds that).
LIVE = FRAME | {"app/frame", "explain", "model", "coding", "survey"}
MAY_IMPORT = {
    "text": set(),
    "model": {"text"},
    "coding": set(),
    "survey": {"text"},
    "describe": {"text"},
    "display": {"text"},
    "bundle": {"text", "describe", "display"},
    "portrait": {"describe", "display", "bundle"},
    "publish": {"describe", "display", "bundle", "portrait"},
    "explain": {"text", "model", "coding", "describe", "display", "bundle"},
    "interchange": {"text", "coding", "describe", "bundle"},
    "stages": CORE | {"interchange"},
    "evaluate": CORE,
    "llm": {"text", "describe", "display", "bundle"},
    "app/frame": FRAME,
    "app/parts": LIVE,
    "app/views": LIVE | {"app/parts"},
    "commands": CORE | {"interchange", "stages", "evaluate", "publish", "llm"},
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "tfactors").rglob("*.py")
}


def room(module: str) -> str:
    """The package that a module is in, "" for those of the root."""
    parts = module.split(".")[1:-1] if MODULES[module].stem != "__init__" else module.split(".")[1:]
    return "/".join(parts[: 2 if parts[:1] == ["app"] else 1])


def imports_of(module: str) -> set[str]:
    """All modules of ours that a module names in an import, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: line {node.lineno} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys() - {module}


def test_every_import_goes_where_the_table_says() -> None:
    wrong = []
    for module in MODULES:
        here = room(module)
        for other in imports_of(module):
            there = room(other)
            if not here or here == there or other == "tfactors":
                continue
            allowed = other.split(".")[1] in GROUND if not there else there in MAY_IMPORT[here]
            if not allowed:
                wrong.append(f"{module} imports {other}")
    assert not wrong, "\n".join(sorted(wrong))


def test_the_ground_imports_nothing_above_it() -> None:
    for name in GROUND:
        assert {other.split(".")[1] for other in imports_of(f"tfactors.{name}")} <= GROUND


def test_of_the_root_only_the_entry_point_imports_the_commands() -> None:
    root = {module for module in MODULES if not room(module)}
    callers = {m for m in root if any(room(other) == "commands" for other in imports_of(m))}
    assert callers == {"tfactors.cli"}


def test_no_modules_import_one_another_in_a_circle() -> None:
    # A package is its face: what it hands on is imported from where it is defined.
    faces = {name for name, path in MODULES.items() if path.stem == "__init__"}
    TopologicalSorter({m: imports_of(m) - faces for m in MODULES if m not in faces}).prepare()


def test_the_table_itself_has_no_circle() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()


def test_every_package_of_the_tree_is_in_the_table() -> None:
    rooms = {room(module) for module in MODULES} - {"", "app"}
    assert {name.partition("/website_2021")[0] for name in rooms} <= MAY_IMPORT.keys()
