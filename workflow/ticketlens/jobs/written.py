"""A syntax tree as text, the same under every Python that the project runs on.

Since Python 3.12 a text within an f-string may have the quotes that are around it, and
`ast.unparse` makes use of that: f"{', '.join(names)}" becomes f'{', '.join(names)}'. The digest of
a definition must not change with Python, so the quotes are chosen here as Python 3.11 does.
"""

from __future__ import annotations

import ast
import sys

QUOTES = ("'", '"', '"""', "'''")
IS_SAME_EVERYWHERE = sys.version_info < (3, 12)
"""Whether `ast.unparse` itself writes what is wanted."""


def text_of(module: ast.Module) -> str:
    """Return the text of a module, which may be changed in place."""
    return ast.unparse(module) if IS_SAME_EVERYWHERE else quoted(module)


def quoted(module: ast.Module) -> str:
    """Return what Python 3.11 writes, under any Python: names stand for f-strings until the end."""
    strings = _Strings()
    return strings.filled(ast.unparse(ast.fix_missing_locations(strings.visit(module))))


class _Strings(ast.NodeTransformer):
    """Puts a name in the place of each f-string, from the inmost on; `texts` are what they are."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def filled(self, text: str) -> str:
        """Return a text with the f-strings in it again; those within others are in there."""
        for name, written in self.texts.items():
            text = text.replace(name, written)
        return text

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Name:
        self._visit_values(node)
        bodies = [self.filled(_body(value)) for value in node.values]
        quote = _quote(bodies)
        name = f"§{len(self.texts)}§"
        self.texts[name] = f"f{quote}{''.join(bodies)}{quote}"
        return ast.Name(name, ast.Load())

    def _visit_values(self, node: ast.JoinedStr) -> None:
        """Visit what is computed; how it is shown (`:.3g`) is an f-string without quotes."""
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                value.value = self.visit(value.value)
                if isinstance(value.format_spec, ast.JoinedStr):
                    self._visit_values(value.format_spec)


def _quote(bodies: list[str]) -> str:
    """Return the first quotes that are in no part, those that would follow their like last."""
    quotes = list(QUOTES)
    for body in filter(None, bodies):
        quotes = [quote for quote in quotes if quote not in body]
        quotes.sort(key=lambda quote: quote[0] == body[-1])
    return quotes[0] if quotes else QUOTES[-1]


def _body(value: ast.expr) -> str:
    """Return how a part of an f-string is written, without quotes."""
    text = ast.unparse(ast.fix_missing_locations(ast.Expr(ast.JoinedStr([value]))))
    quote = text[1:4] if text[1:4] in QUOTES else text[1]
    return text[1 + len(quote) : -len(quote)]
