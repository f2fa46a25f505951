"""
Finds the helper's modules by their compiled files: one open and one read for each.

Python's own finder is made for every layout and for change: it lists folders, looks for sources and
compares dates, which for two dozen modules takes half a millisecond of every mount. Here `make
install` has compiled all of them in place, and only root could change one. What is not found, or
was compiled by another Python, is left to Python's own finder, which comes next.
"""

import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_PACKAGES = ("fusermount_py", "fusermount_py.helper", "fusermount_py.helper.kernel")
_HEADER_BYTES = 16  # importlib._bootstrap_external: magic number, flags, and the hash of the source
_LARGEST = 1 << 16  # a file that fills this is left to Python's own finder


class CompiledTree:
    """A finder and loader, for sys.meta_path: the modules below ``tree``, by their full names."""

    def __init__(self, tree: str) -> None:
        self._tree = tree

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """Where a module is, and already its content; None if it is not one of ours."""
        if not name.startswith("fusermount_py"):
            return None
        place = f"{self._tree}/{name.replace('.', '/')}"
        is_package = name in _PACKAGES
        folder, _, stem = (f"{place}/__init__" if is_package else place).rpartition("/")
        content = _read(f"{folder}/__pycache__/{stem}.{sys.implementation.cache_tag}.pyc")
        if not content.startswith(MAGIC_NUMBER) or len(content) == _LARGEST:
            return None
        # A Loader by its methods only: the abstract class would be one more import.
        origin = f"{folder}/{stem}.py"
        spec = ModuleSpec(name, self, origin=origin, is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True  # modules know their __file__, as ever
        spec.submodule_search_locations = [folder] if is_package else None
        spec.loader_state = memoryview(content)[_HEADER_BYTES:]
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """Nothing special: Python makes the module."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run the module's code in it."""
        if module.__spec__ is not None:
            code = marshal.loads(module.__spec__.loader_state)  # noqa: S302  # root's own file
            exec(code, module.__dict__)  # noqa: S102  # which is what importing is


def _read(path: str) -> bytes:
    """The file's bytes, none if there is no such file."""
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return b""
    content = posix.read(descriptor, _LARGEST)
    posix.close(descriptor)
    return content
