"""What a Python file holds, counted in its syntax tree; the code is never imported or run."""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Metrics", "complexity", "measure"]

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.comprehension)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The counts of one file; `error` says why where it could not be parsed, and then only lines are counted.

    most_complex: the qualified name of the function with the highest cyclomatic complexity, at most_complex_line.
    """

    lines: int
    functions: int = 0
    classes: int = 0
    most_complex: str = ""
    most_complex_line: int = 0
    complexity: int = 0
    error: str = ""


def measure(source: bytes) -> Metrics:
    """Return the counts of a source file, in whatever encoding it declares."""
    lines = len(source.splitlines())
    try:
        tree = _parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Metrics(lines=lines, error=_describe(error))
    definitions = list(_definitions(tree))
    functions = [(name, node) for name, node in definitions if isinstance(node, Function)]
    ranked = [(complexity(node), -node.lineno, name) for name, node in functions]
    highest, line, name = max(ranked, default=(0, 0, ""))
    return Metrics(
        lines=lines,
        functions=len(functions),
        classes=len(definitions) - len(functions),
        most_complex=name,
        most_complex_line=-line,
        complexity=highest,
    )


def complexity(function: Function) -> int:
    """Return the cyclomatic complexity: 1, and 1 for each branch. A function defined inside has its own."""
    return 1 + sum(_decisions(node) for node in _own_nodes(function))


def _parse(source: bytes) -> ast.Module:
    with warnings.catch_warnings():
        # An invalid escape sequence in someone else's code is not our business.
        warnings.simplefilter("ignore")
        return ast.parse(source)


def _describe(error: Exception) -> str:
    where = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
    return f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}{where}"


def _definitions(tree: ast.AST) -> Iterator[tuple[str, Definition]]:
    """Yield every function and class with its qualified name. Not recursive: source may be nested deeply."""
    pending = [("", tree)]
    while pending:
        prefix, node = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Definition):
                yield prefix + child.name, child
                pending.append((f"{prefix}{child.name}.", child))
            else:
                pending.append((prefix, child))


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if not isinstance(node, Definition):
            yield node
            pending.extend(ast.iter_child_nodes(node))


def _decisions(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.match_case):
        # `case _:` is the else of a match.
        return int(not (isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None and node.guard is None))
    return (len(node.ifs) if isinstance(node, ast.comprehension) else 0) + int(isinstance(node, BRANCHES))
