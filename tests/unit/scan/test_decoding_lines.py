"""The search for decoders' words in a text never hides a decoder from the look at its tree."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelmark.scan.computing import DecodingLines, decodes_text

DECODERS = {
    "call": "def f(a):\n    return ''.join(chr(c) for c in a)\n",
    "method": "def f(a):\n    return bytes.fromhex(a)\n",
    "xor": "def f(a):\n    for b in a:\n        b ^= 3\n    return a\n",
    "loop": "x = 1\nfor c in 'abc':\n    x = x ^ ord(c)\n",
    "decorated": "@reads(lambda a: chr(a))\ndef f(a):\n    return a\n",
    "lambda": "f = lambda a: a.translate(t)\n",
    "spread": "def f(a):\n    return (chr\n\n\n        (a))\n",
    "other letters": "def f(a):\n    return \uff43\uff48\uff52(a)\n",
    "after other line ends": "x = 1\r\ny = 2\rz = 3\ndef f(a):\r    return chr(a)\r\n",
    "form feed": "x = 1\n\x0c\ndef f(a):\n    return chr(a)\n",
}


def decoders_in(source: str) -> list[ast.stmt | ast.expr]:
    """The functions, loops and comprehensions that look like decoders."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.For, ast.While, ast.GeneratorExp, ast.ListComp)
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds) and decodes_text(node)]


@pytest.mark.parametrize("source", DECODERS.values(), ids=DECODERS)
def test_line_of_a_decoder_is_found(source: str) -> None:
    found = decoders_in(source)
    assert found
    assert all(DecodingLines(source).may_decode(node) for node in found)


def test_function_without_any_word_is_not_walked() -> None:
    source = "def f(record):\n    return record.word('chrome')\n\n\ndef g(a):\n    return chr(a)\n"
    first, second = ast.parse(source).body
    lines = DecodingLines(source)
    assert isinstance(first, ast.stmt)
    assert not lines.may_decode(first)
    assert lines.may_decode(second)


@given(st.lists(st.sampled_from(["\n", "\r\n", "\r", "x = 1\n", "'\u00e4\u2028'\n", *DECODERS.values()]), max_size=8))
def test_no_decoder_is_hidden_wherever_it_stands(parts: list[str]) -> None:
    source = "".join(parts)
    lines = DecodingLines(source)
    assert all(lines.may_decode(node) for node in decoders_in(source))
