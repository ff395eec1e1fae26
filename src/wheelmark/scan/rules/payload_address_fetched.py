"""A fetch from the kind of address that payloads are kept at."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, shown
from wheelmark.scan.samples import Sample, Samples

YARA = r"""
rule payload_address {
    strings:
        $number = /https?:\/\/[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}[:\/][^\s'"<>)]{1,200}/ nocase
        $paste1 = /https?:\/\/(www\.)?(pastebin\.com\/raw|paste\.ee\/r|hastebin\.com\/raw)[^\s'"<>)]{0,200}/ nocase
        $paste2 = /https?:\/\/(rentry\.co\/[a-z0-9_-]+\/raw|ghostbin\.com|paste\.rs)[^\s'"<>)]{0,200}/ nocase
        $drop1 = /https?:\/\/(cdn|media)\.discordapp\.(com|net)\/attachments[^\s'"<>)]{0,200}/ nocase
        $drop2 = /https?:\/\/(transfer\.sh|file\.io|anonfiles?\.com|gofile\.io|temp\.sh)[^\s'"<>)]{0,200}/ nocase
        $drop3 = /https?:\/\/([a-z]+\.)?(catbox\.moe|dropboxusercontent\.com|filebin\.net)[^\s'"<>)]{0,200}/ nocase
        $drop4 = /https?:\/\/www\.dropbox\.com\/s[^\s'"<>)]{0,200}/ nocase
        $tunnel1 = /https?:\/\/[a-z0-9.-]{1,60}\.(ngrok\.io|ngrok-free\.app|loca\.lt)[^\s'"<>)]{0,200}/ nocase
        $tunnel2 = /https?:\/\/[a-z0-9.-]{1,60}\.(trycloudflare\.com|repl\.co|glitch\.me)[^\s'"<>)]{0,200}/ nocase
        $tunnel3 = /https?:\/\/[a-z0-9.-]{1,60}\.(000webhostapp|herokuapp|onrender)\.com[^\s'"<>)]{0,200}/ nocase
        $program = /https?:\/\/[^\s'"<>)]{4,200}\.(exe|scr|bat|ps1|vbs|hta)\b/ nocase
    condition:
        any of them
}
"""
# This machine, private networks, the cloud's own metadata address, and the two resolvers every example names.
_HARMLESS = ("127.", "0.", "10.", "192.168.", "169.254.169.254", "1.1.1.1", "8.8.8.8")


def check(facts: Facts) -> Iterator[Evidence]:
    addresses: dict[str, set[str]] = {}
    for hit in facts.hits:
        if hit.rule == RULE.id and not hit.text.partition("://")[2].startswith(_HARMLESS):
            addresses.setdefault(hit.member, set()).add(hit.text[:200])
    for call in facts.calls_of(Act.SEND, Act.DOWNLOAD, Act.START_PROCESS):
        text = call.text
        address = next((address for address in sorted(addresses.get(call.member, ())) if address in text), None)
        if address is None:
            continue
        severity = graded(call.context, automatic=Severity.HIGH, entry=Severity.LOW, on_call=Severity.INFO)
        if severity is not None:
            yield Evidence.of_call(call, severity, shown(call))


RULE = Rule(
    id="payload-address-fetched",
    version=1,
    severity=Severity.HIGH,
    tactic=Tactic.COMMAND_AND_CONTROL,
    message="The code fetches a program, or fetches from a bare IP address, a paste, a file drop or a tunnel.",
    reference="https://attack.mitre.org/techniques/T1102/",
    check=check,
    yara=YARA,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import urllib.request

                CONFIGURATION = urllib.request.urlopen("http://192.0.2.7:8080/setup").read()
            """),
        ),
        benign=(
            Sample.imported('''
                """The server is at http://192.0.2.7:8080/setup in the examples."""

                import urllib.request


                def is_alive():
                    return urllib.request.urlopen("http://127.0.0.1:8080/health").status == 200
            '''),
        ),
    ),
)
