"""The import tower of the README, read from the sources: imports point down."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2]
PACKAGE = SOURCE / "fusermount_py"

ENTRY, FLOW, POLICY, KERNEL, GROUND = 4, 3, 2, 1, 0
FLOORS = {
    "answers": ENTRY,
    "failure": ENTRY,
    "main": ENTRY,
    "request": ENTRY,
    "auto_unmount": FLOW,
    "creation": FLOW,
    "mount": FLOW,
    "mount_max": FLOW,
    "scribe": FLOW,
    "unmount": FLOW,
    "fuse_conf": POLICY,
    "mount_entry": POLICY,
    "options": POLICY,
    "permission": POLICY,
    "protocol": POLICY,
    "stable_name": POLICY,
    "utab_record": POLICY,
    "errors": GROUND,
}
# They describe bytes and judge nothing: the kernel floor reads and writes in these formats.
FORMATS = {"fusermount_py.helper.mount_entry", "fusermount_py.helper.protocol"}
# Pure modules, and readers that need no privilege.
FOR_CLIENTS = FORMATS | {
    "fusermount_py.helper.errors",
    "fusermount_py.helper.kernel.constants",
    "fusermount_py.helper.kernel.mount_table",
}
# The admin's command knows the helper's words and rules as well, and root itself may unmount, which
# takes a mount's record with it.
FOR_ADMIN = FOR_CLIENTS | {
    "fusermount_py.helper.answers",
    "fusermount_py.helper.kernel.mount_identity",
    "fusermount_py.helper.fuse_conf",
    "fusermount_py.helper.request",
    "fusermount_py.helper.utab_record",
    "fusermount_py.helper.kernel.syscalls",
    "fusermount_py.helper.kernel.utab",
}


class Module:
    """One source file and what it really imports; imports for types alone do not count."""

    def __init__(self, path: Path) -> None:
        relative = path.relative_to(SOURCE).with_suffix("")
        self.name = ".".join(relative.parts).removesuffix(".__init__")
        self.text = path.read_text(encoding="utf-8")
        self.imports = set(_imported_by(ast.parse(self.text)))
        self.of_ours = {name for name in self.imports if name.startswith("fusermount_py")}

    def __repr__(self) -> str:
        return self.name

    @property
    def in_helper(self) -> bool:
        return self.name.startswith("fusermount_py.helper")


def _imported_by(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.module, "imports are written in full"
            assert child.level == 0, "imports are written in full"
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            modules = [name for name in names if _is_module(name)]
            yield from modules or [child.module]
        yield from _imported_by(child)


def _is_module(name: str) -> bool:
    path = SOURCE.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def floor_of(name: str) -> int:
    below_helper = name.removeprefix("fusermount_py.helper.")
    return KERNEL if below_helper.startswith("kernel") else FLOORS[below_helper]


MODULES = [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]
HELPER = [module for module in MODULES if module.in_helper and module.text.count("\n") > 5]
BY_NAME = {module.name: module for module in MODULES}


@pytest.mark.parametrize("module", HELPER, ids=str)
def test_imports_of_the_helper_point_down(module: Module) -> None:
    """
    Otherwise nobody could read policy without the system calls, or the kernel without policy.
    """
    allowed = FORMATS if floor_of(module.name) == KERNEL else set()
    upward = {name for name in module.of_ours - allowed if floor_of(name) > floor_of(module.name)}

    assert set() == upward


@pytest.mark.parametrize(
    "module", [module for module in HELPER if floor_of(module.name) == POLICY], ids=str
)
def test_policy_is_plain_data(module: Module) -> None:
    """
    What says yes or no must be testable, and readable, without a kernel.
    """
    allowed = FORMATS | {"fusermount_py.helper.errors", "fusermount_py.helper.kernel.constants"}
    used_of_posix = set(re.findall(r"\bposix\.(\w+)", module.text))

    assert set() == module.of_ours - allowed
    assert set() == module.imports & {"os", "fcntl", "_socket", "socket", "time", "select"}
    assert used_of_posix <= {"strerror"}


@pytest.mark.parametrize("module", HELPER, ids=str)
def test_the_helper_imports_nothing_of_ours_outside_itself(module: Module) -> None:
    """
    What runs with a capability is what lies in one folder, and what is installed.
    """
    outside = {name for name in module.of_ours if not name.startswith("fusermount_py.helper")}

    assert set() == outside


@pytest.mark.parametrize("module", [each for each in MODULES if not each.in_helper], ids=str)
def test_the_unprivileged_world_imports_pure_modules_and_readers_only(module: Module) -> None:
    """
    A server that imports the client must not carry code that was written to hold root.
    """
    of_helper = {name for name in module.of_ours if name.startswith("fusermount_py.helper")}

    assert set() == of_helper - (FOR_ADMIN if ".admin" in module.name else FOR_CLIENTS)


@pytest.mark.parametrize(
    ("imported", "importers"),
    [
        ("_prctl", {"fusermount_py.helper.kernel.privilege"}),
        ("prctl", set()),
        ("_ctypes", {"fusermount_py.helper.kernel.syscalls"}),
        ("ctypes", {"fusermount_py.client.spawn"}),
        ("click", {"fusermount_py.admin"}),
        ("pyroute2", {"fusermount_py.admin"}),
    ],
)
def test_what_is_powerful_or_slow_is_imported_in_one_place(
    imported: str, importers: set[str]
) -> None:
    """
    One file to read for each power; and click and pyroute2 cost more than a whole mount.
    """
    found = {
        module.name
        for module in MODULES
        if any(name.split(".")[0] == imported for name in module.imports)
    }

    assert set() == {
        name
        for name in found - importers
        if not any(name.startswith(importer + ".") for importer in importers)
    }


@pytest.mark.parametrize("module", [each for each in MODULES if "raised()" in each.text], ids=str)
def test_each_raise_says_whose_move_it_stands_against(module: Module) -> None:
    """
    The few lines that hold CAP_SYS_ADMIN are the ones to read first; each says why it is safe.
    """
    lines = module.text.splitlines()
    for number, line in enumerate(lines):
        if not line.strip().startswith("with ") or "raised()" not in line:
            continue
        above = number - 1
        while lines[above].strip().startswith("#") and "# PRIVILEGED:" not in lines[above]:
            above -= 1
        assert "# PRIVILEGED:" in lines[above], f"{module}, line {number + 1}: no reason above"


def test_imports_run_in_no_circle() -> None:
    """
    A circle works until someone imports it from the other end.
    """
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done and name in BY_NAME:
            for imported in BY_NAME[name].of_ours - {name}:
                visit(imported, (*path, name))
            done.add(name)

    for module in MODULES:
        visit(module.name, ())
