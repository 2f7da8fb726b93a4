"""Packages whose public names are imported when they are first used.

What needs one name of such a package does not load the modules of all others, which is most of what starting costs. The
imports stand below ``TYPE_CHECKING`` as well, so that mypy, import-linter and readers see them.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_exports(package: str, *modules: str, **names: tuple[str, ...]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package, given its public modules, and the public names of others."""
    module_of = {name: module for module, exported in names.items() for name in exported}

    def __getattr__(name: str) -> Any:  # noqa: N807  # it becomes the package's
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{module_of[name]}")
        value = getattr(module, name)
        setattr(import_module(package), name, value)
        return value

    return __getattr__
