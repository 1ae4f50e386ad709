"""One-token changes of a module: comparisons turned, operators swapped, constants moved by one,
booleans flipped."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, NamedTuple

TURNED: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.Mult,), ast.Pow: (ast.Mult,), ast.And: (ast.Or,), ast.Or: (ast.And,),
}  # fmt: skip


class Mutant(NamedTuple):
    """``change`` says where and what without a line number: other edits leave it as it is."""

    path: str
    change: str
    lines: range
    tree: ast.AST
    node: ast.AST
    field: str
    value: Any

    @contextmanager
    def applied(self) -> Iterator[None]:
        before = getattr(self.node, self.field)
        setattr(self.node, self.field, self.value)
        yield
        setattr(self.node, self.field, before)

    def put_in_place(self, root: Path) -> None:
        """From now on this process imports the module with the change."""
        compiled, target = SourceFileLoader.get_code, str(root / self.path)

        def get_code(loader: SourceFileLoader, name: str) -> Any:
            if loader.path != target:
                return compiled(loader, name)
            with self.applied():
                return compile(ast.fix_missing_locations(self.tree), target, "exec")

        SourceFileLoader.get_code = get_code  # type: ignore[method-assign]


def changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """The fields of ``node`` that can change, each with what it changes to."""
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                for other in TURNED[type(op)]:
                    yield "ops", [*ops[:i], other(), *ops[i + 1 :]]
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op):
            yield from (("op", other()) for other in TURNED.get(type(op), ()))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "operand", ast.UnaryOp(ast.Not(), operand)
        case ast.Constant(value=bool(value)):
            yield "value", not value
        case ast.Constant(value=int(value) | float(value)):
            yield from (("value", value + 1), ("value", value - 1))


def sites(node: ast.AST, name: str, around: ast.AST) -> Iterator[tuple[ast.AST, str, ast.AST]]:
    """What runs below ``node``, with its function and the code to show around it. Left out is the
    ``strict`` of a zip: a guard against mistakes that no test makes."""
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            skipped = field in {"annotation", "returns", "decorator_list"}
            if skipped or not isinstance(child, ast.AST) or getattr(child, "arg", "") == "strict":
                continue
            inner = ".".join(filter(None, [name, getattr(child, "name", None)]))
            shown = child if isinstance(child, ast.stmt) or hasattr(node, "body") else around
            yield child, inner, shown
            yield from sites(child, inner, shown)


def difference(before: str, after: str) -> str:
    """What changes and a little around it."""
    pairs, mirrored = zip(before, after, strict=False), zip(before[::-1], after[::-1], strict=False)
    start = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
    end = next((i for i, (a, b) in enumerate(mirrored) if a != b), 0)
    end = min(end, len(before) - start, len(after) - start)
    old, new = (text[start : len(text) - end] for text in (before, after))
    shown = f"{before[:start][-50:]}«{old} → {new}»{before[len(before) - end :][:30]}"
    return " ".join(shown.split())


def mutants(root: Path, path: str) -> Iterator[Mutant]:
    """All changes of the module at ``path`` below ``root``."""
    tree = ast.parse((root / path).read_text())
    for node, name, shown in sites(tree, "", tree):
        lines = range(getattr(shown, "lineno", 0), (getattr(shown, "end_lineno", 0) or 0) + 1)
        for field, value in changes(node):
            mutant = Mutant(path, "", lines, tree, node, field, value)
            before = ast.unparse(shown)
            with mutant.applied():
                text = difference(before, ast.unparse(shown))
            yield mutant._replace(change=f"{path.removeprefix('orchestrator/')} {name}: {text}")
