"""Find the plug-in files of a folder.

A plug-in is any module of a package that defines the package's one constant (``DECODER``,
``READER``, ``FEATURES``, ``RULE``). Dropping the file in is all there is to it.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

Plugin = TypeVar("Plugin")


def discover(package: ModuleType, constant: str, kind: type[Plugin]) -> tuple[Plugin, ...]:
    """Return the plug-ins of a package, sorted by module name.

    Parameters
    ----------
    package : ModuleType
        The folder, imported. Modules whose name begins with an underscore are parts, not plug-ins.
    constant : str
        The name every plug-in file defines.
    kind : type
        What the constant must be.

    Raises
    ------
    TypeError
        A module lacks the constant, or it is of another kind: a plug-in that would be skipped
        in silence stops the start instead.
    """
    found: list[Plugin] = []
    for name in plugin_names(package):
        module = importlib.import_module(f"{package.__name__}.{name}")
        plugin = getattr(module, constant, None)
        if not isinstance(plugin, kind):
            raise TypeError(
                f"{module.__name__} must end with {constant} = {kind.__name__}(...); add it, or "
                f"begin the file's name with an underscore if it is only a part of others"
            )
        found.append(plugin)
    return tuple(found)


def plugin_names(package: ModuleType) -> tuple[str, ...]:
    """Return the names of a package's plug-in modules, sorted, without importing them."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_"))
