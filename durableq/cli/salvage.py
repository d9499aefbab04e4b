"""Goes on behind a declaration that is refused, so that `durableq check` tells the next one in the same module as well.

While it is in place, modules of the user's project are imported with every decorated function at their top level in a `try`:
one whose decorator raises is noted, and stays in its module as the plain function, which others may name. Nothing is cached,
and modules from elsewhere are imported as ever.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from durableq.cli.reasons import is_users

_REFUSED: Final = "__durableq_refused__"
_ERROR: Final = "__durableq_error__"


@contextmanager
def salvaging(directories: Sequence[str], refused: Callable[[Exception], None]) -> Iterator[None]:
    """Note what decorators raise in modules below these directories, as long as the block lasts."""
    finder = _Finder([Path(directory).resolve() for directory in directories], refused)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    def __init__(self, roots: list[Path], refused: Callable[[Exception], None]) -> None:
        self._roots = roots
        self._refused = refused

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader and self._is_own(spec.loader.path):
            spec.loader = _Loader(fullname, spec.loader.path, self._refused)
        return spec

    def _is_own(self, path: str) -> bool:
        return is_users(path) and any(Path(path).resolve().is_relative_to(root) for root in self._roots)


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, refused: Callable[[Exception], None]) -> None:
        super().__init__(fullname, path)
        self._refused = refused

    def get_code(self, fullname: str) -> CodeType:
        # Neither reads nor writes the cache: what is compiled here is not what the file says.
        tree = _Guarding().visit(ast.parse(self.get_data(self.path), self.path))
        return self.source_to_code(ast.fix_missing_locations(tree), self.path)

    def exec_module(self, module: ModuleType) -> None:
        setattr(module, _REFUSED, self._refused)
        super().exec_module(module)


class _Guarding(ast.NodeTransformer):
    """Puts decorated functions into a `try`. What is inside of functions and classes stays as it is."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return _guarded(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return _guarded(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node


def _guarded(node: Any) -> ast.AST:
    if not node.decorator_list:
        return node  # type: ignore[no-any-return]
    plain = type(node)(**{**dict(ast.iter_fields(node)), "decorator_list": []})
    note = ast.Expr(ast.Call(ast.Name(_REFUSED, ast.Load()), [ast.Name(_ERROR, ast.Load())], []))
    handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), _ERROR, [note, ast.copy_location(plain, node)])
    return ast.copy_location(ast.Try([node], [handler], [], []), node)
