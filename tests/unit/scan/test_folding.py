"""Constant folding agrees with Python where it folds, and stays within its bounds where Python would not."""

from __future__ import annotations

import ast
import base64
import bz2
import gzip
import lzma
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wheelmark.scan import Context, ScanBounds
from wheelmark.scan.reader import ModuleReader
from wheelmark.scan.scopes import Meter
from wheelmark.scan.values import UNKNOWN, Taint, Value


def value_of(source: str, bounds: ScanBounds | None = None) -> Value:
    """What is known of the variable `x` after a module's body."""
    meter = Meter.for_scan(bounds or ScanBounds())
    reader = ModuleReader("m.py", "m", is_package=False, meter=meter, read_member=lambda path: None)
    reader.read(ast.parse(source), source, Context.IMPORT, {})
    return reader.names["x"]


@pytest.mark.parametrize(
    "expression",
    [
        "'a' + 'b' * 3",
        "'abc'[::-1]",
        "''.join(chr(c) for c in [104, 105])",
        "''.join(map(chr, [104, 105]))",
        "''.join([chr(ord(c) ^ 1) for c in 'ih'])",
        "bytes([104, 105]).decode()",
        "'%s-%s' % ('a', 'b')",
        "'{}{}'.format('a', 'b')",
        "f'{\"a\"}b'",
        "'a,b'.split(',')[1]",
        "'hXi'.replace('X', '')",
        "str(b'hi', 'utf-8')",
        "int('68', 16)",
        "[1, 2, 3][1:]",
        "(1, *(2, 3))",
        "{'a': 'b'}['a']",
        "'hi'.encode().hex()",
        "''.join(reversed('ih'))",
        "chr(0x68 >> 0) + chr(3 * 35)",
        "(lambda a: a + 'i')('h')",
        "'h' if True else 'h'",
    ],
)
def test_folded_constant_is_what_python_computes(expression: str) -> None:
    assert value_of(f"x = {expression}").constant == eval(expression)


@given(st.binary(max_size=200))
@settings(max_examples=30)
def test_each_decoder_gives_back_what_was_encoded(raw: bytes) -> None:
    forms = {
        "base64.b64decode": base64.b64encode(raw),
        "base64.b32decode": base64.b32encode(raw),
        "base64.b85decode": base64.b85encode(raw),
        "base64.a85decode": base64.a85encode(raw),
        "base64.urlsafe_b64decode": base64.urlsafe_b64encode(raw),
        "binascii.unhexlify": raw.hex().encode(),
        "zlib.decompress": zlib.compress(raw),
        "gzip.decompress": gzip.compress(raw),
        "bz2.decompress": bz2.compress(raw),
        "lzma.decompress": lzma.compress(raw),
    }
    for name, encoded in forms.items():
        value = value_of(f"import {name.partition('.')[0]}\nx = {name}({encoded!r})")
        assert value.constant == raw
        assert value.has(Taint.DECODED)


def test_decompression_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(b"\0" * 50_000_000)
    meter_bounds = ScanBounds(max_decoded_bytes=1_000_000)
    value = value_of(f"import zlib\nx = zlib.decompress({bomb!r})", meter_bounds)
    assert value.constant is UNKNOWN
    assert value.has(Taint.DECODED)


def test_turning_bytes_into_text_is_no_decoding() -> None:
    assert not value_of("x = b'abc'.decode('utf-8')").has(Taint.DECODED)
    assert not value_of("import codecs\nx = codecs.decode(b'abc', 'utf-8')").has(Taint.DECODED)


@pytest.mark.parametrize(
    ("source", "taint"),
    [
        ("import os\nx = os.environ", Taint.SECRET),
        ("import os\nx = dict(os.environ)", Taint.SECRET),
        ("import os\nx = {k: v for k, v in os.environ.items()}", Taint.SECRET),
        ("from os import environ as e\nx = str(e)", Taint.SECRET),
        ("import os\nx = os.getenv('API_TOKEN')", Taint.SECRET),
        ("x = open('/home/u/.ssh/id_rsa').read()", Taint.SECRET),
        ("import socket\nx = {'name': socket.gethostname()}", Taint.HOST),
        ("import socket, base64\nx = base64.b64encode(socket.gethostname().encode()).decode()", Taint.HOST),
        ("import getpass\nx = f'user={getpass.getuser()}'", Taint.HOST),
        ("import subprocess\nx = subprocess.check_output('whoami').decode()", Taint.HOST),
        ("import requests\nx = requests.Session().get('https://x.example.invalid').json()['code']", Taint.NETWORK),
        (
            "from urllib.request import urlopen as u\nwith u('https://x.example.invalid') as r:\n    x = r.read()",
            Taint.NETWORK,
        ),
        ("import requests\nparts = []\nparts.append(requests.get('u').text)\nx = ''.join(parts)", Taint.NETWORK),
        ("import requests\ndef f(u):\n    return requests.get(u).text\nx = f('u')", Taint.NETWORK),
        (
            "import requests\nclass C:\n    def __init__(self):\n        self.t = requests.get('u').text\nx = C().t",
            Taint.NETWORK,
        ),
    ],
)
def test_origin_is_carried_to_where_the_value_goes(source: str, taint: Taint) -> None:
    assert value_of(source).has(taint)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nx = os.getenv('HOME')",
        "import os\nx = 'CI' in os.environ",
        "import platform\nx = platform.system()",
        "x = open('README.md').read()",
        "import requests\nx = requests.get",
        "x = len('abc')",
    ],
)
def test_ordinary_value_has_no_origin_of_interest(source: str) -> None:
    assert not value_of(source).has(Taint.SECRET, Taint.HOST, Taint.NETWORK, Taint.DECODED)
