"""All log calls of the tree, found in its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
METHODS = {"debug", "info", "warning", "error", "critical", "exception"}


class LogCall(NamedTuple):
    place: str
    logger: str
    method: str
    event: str | None
    """None: not a literal."""
    keys: tuple[str, ...]


def log_calls() -> list[LogCall]:
    return [call for path in sorted((ROOT / "edge").rglob("*.py")) for call in _in(path)]


def _in(path: Path) -> Iterator[LogCall]:
    tree = ast.parse(path.read_text())
    loggers = {
        ast.unparse(node.targets[0]): _name(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "structlog.get_logger"
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and (isinstance(node.func, ast.Attribute | ast.IfExp))
            and (named := _called(node.func, loggers)) is not None
        ):
            logger, method = named
            yield LogCall(
                f"{path.relative_to(ROOT)}:{node.lineno}",
                logger,
                method,
                node.args[0].value
                if node.args and isinstance(node.args[0], ast.Constant)
                else None,
                tuple(word.arg or "**" for word in node.keywords),
            )


def _called(func: ast.expr, loggers: dict[str, str]) -> tuple[str, str] | None:
    if isinstance(func, ast.IfExp):  # (_log.warning if urgent else _log.info)(...)
        return _called(func.body, loggers)
    if not isinstance(func, ast.Attribute):
        return None
    owner = ast.unparse(func.value)
    return (loggers[owner], func.attr) if owner in loggers and func.attr in METHODS else None


def _name(call: ast.Call) -> str:
    return str(call.args[0].value) if isinstance(call.args[0], ast.Constant) else "?"


def _literal(call: ast.Call) -> str | None:
    first = call.args[0] if call.args else None
    return str(first.value) if isinstance(first, ast.Constant) else None
