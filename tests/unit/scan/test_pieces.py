"""Large sources are parsed in pieces, and what comes out is what the whole would have given."""

from __future__ import annotations

import ast

import pytest

from wheelmark.scan import pieces, source

_CLASS = '''
@decorated
@twice(
    1,
)
class Client(Base):
    """Has no end."""

    table = {"a": 1}

    @property
    @cached
    def size(self):
        """
class Inner:
    def in_text(self): ...
        """
        return 1

    async def fetch(self, url):
        return [
            url
        ]

    class Options:
        def get(self):
            return {}
'''
_MODULE = f'''"""A module."""
from __future__ import annotations
import os
{_CLASS}
LIMIT = 3
if LIMIT:
    def first(): return (
1)
else:
    class Other: pass
{_CLASS.replace("Client", "Second")}
async def last():
    return 2
FOUND = Client()
'''


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_CHARACTERS", 40)
    monkeypatch.setattr(pieces, "DIVIDED_CHARACTERS", 80)


def _parsed(text: str) -> tuple[ast.Module | None, list[str]]:
    seen: list[str] = []

    def parse(piece: str) -> ast.Module | None:
        seen.append(piece)
        try:
            return ast.parse(piece)
        except SyntaxError:
            return None

    return pieces.parse_in_pieces(text, parse), seen


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_pieces_in_a_row_are_the_whole(line_end: str) -> None:
    text = _MODULE.replace('"""\nclass Inner:\n    def in_text(self): ...\n        """', '"""Nothing."""').replace(
        "\n", line_end
    )
    tree, seen = _parsed(text)
    assert tree is not None
    assert ast.dump(tree, include_attributes=True) == ast.dump(ast.parse(text), include_attributes=True)
    assert len(seen) > 6
    assert max(len(piece.strip()) for piece in seen) < len(text) / 2


@pytest.mark.parametrize(
    "text",
    [
        _MODULE,  # a class in a string, at the margin
        _MODULE.replace("\n", "\r"),
        "x = [\n" + "1,\n" * 50 + "]\ny = (\n",
        "",
    ],
)
def test_what_cannot_be_divided_is_left_to_the_whole(text: str) -> None:
    tree, _ = _parsed(text)
    assert tree is None or ast.dump(tree) == ast.dump(ast.parse(text))


def test_large_source_is_read_whole_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "DIVIDED_CHARACTERS", 80)
    for text in (_MODULE, _MODULE + "print 'two'\n"):
        parsed = source.parse_source(text.encode())
        assert parsed.tree is not None
        assert parsed.whole == (text == _MODULE)
        assert [node.name for node in parsed.tree.body if isinstance(node, ast.ClassDef)] == ["Client", "Second"]
