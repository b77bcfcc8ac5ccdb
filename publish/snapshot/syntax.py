"""Changes of a parsed query that both its translators need: views to SQLite's SQL, ADQL to SQLite's SQL."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

__all__ = ["bottom_up"]


def bottom_up(tree: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Change every node, the inner ones first (sqlglot's `transform` does not look into what it has replaced).

    Parameters
    ----------
    tree : Expression
        Is changed itself.
    change : callable
        Gives the node that takes the place of one, or that one.

    Returns
    -------
    Expression
        The root, which may be another.
    """
    for node in reversed(list(tree.walk())):
        changed = change(node)
        if changed is not node:
            tree = node.replace(changed) if node.parent else changed
    return tree.root()
