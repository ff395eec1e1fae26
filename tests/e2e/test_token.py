"""An index whose timestamp key lies on a PKCS#11 token (SoftHSM2), and what the kept session is worth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pkcs11
import pytest
from tuf.ngclient import Updater  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.distributions import build_wheel, wheel_filename
from support.server import RunningIndex
from support.tokens import PIN, SoftToken, soft_token
from wheelmark.errors import Unavailable
from wheelmark.trust import open_signer, page_target_path

pytestmark = [pytest.mark.services, pytest.mark.slow]

LEAST_RATIO = 5.0
"""How many times quicker a signature must be than with securesystemslib's own signer; measured: 30 and more."""

_MEASURE = """
import json, os, statistics, sys, time
from securesystemslib.signer import HSMSigner
from wheelmark.trust import open_signer

uri, module, pin = sys.argv[1:]
os.environ["PYKCS11LIB"] = module

def milliseconds(sign, rounds):
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        sign(b"signed part" * 100)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000

_, public = HSMSigner.import_(2, "index", lambda what: pin)
stock = HSMSigner(2, public, lambda what: pin, "index")
stock.sign(b"")
stock_ms = milliseconds(stock.sign, 20)
ours = open_signer(uri, passphrase=pin.encode)
assert ours.keyid == public.keyid
ours.sign(b"")
print(json.dumps({"stock": stock_ms, "ours": milliseconds(ours.sign, 200)}))
"""


@pytest.fixture(scope="module")
def token() -> SoftToken:
    return soft_token()


def test_kept_session_signs_many_times_as_fast_as_the_stock_signer(token: SoftToken) -> None:
    """In a process of its own: a login belongs to the whole process, and both log in."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, token.uri("ecdsa-p256"), token.module, PIN],
        env=os.environ | token.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    took = json.loads(done.stdout)
    ratio = took["stock"] / took["ours"]
    print(f"\na signature on the token: stock {took['stock']:.2f} ms, ours {took['ours']:.3f} ms, {ratio:.0f} times")
    assert ratio >= LEAST_RATIO


# python-pkcs11 grumbles when it clears up an operation of a session that is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_token_that_goes_away_is_used_again_once_it_is_back(token: SoftToken) -> None:
    signer = open_signer(token.uri("ecdsa-p256"), passphrase=PIN.encode)
    library = pkcs11.lib(token.module)
    library.reinitialize()  # every session is gone, as after a pull
    signer.sign(b"signed part")
    [plugged] = (token.folder / "tokens").iterdir()
    pulled = plugged.rename(token.folder / "pulled")
    try:
        library.reinitialize()
        for _ in range(2):
            with pytest.raises(Unavailable, match="no such token"):
                signer.sign(b"signed part")
    finally:
        pulled.rename(plugged)
    signed = signer.sign(b"signed part")
    signer.public.verify(signed["sig"], b"signed part", where="the token")


def test_index_with_its_timestamp_key_on_a_token_is_verified_by_an_unmodified_client(
    token: SoftToken, tmp_path: Path
) -> None:
    pin = tmp_path / "pin"
    pin.write_text(f"{PIN}\n")
    uri = token.uri("ecdsa-p256", more=f"&pin-source=file:{pin}")
    with RunningIndex(tmp_path / "data", fresh=True, timestamp_key=uri) as index:
        answer = index.upload(wheel_filename(), build_wheel(), token=index.token())
        assert answer.status == 200, answer.data
        index.wait_published("demo", wheel_filename())
        folder = tmp_path / "client"
        folder.mkdir()
        updater = Updater(
            metadata_dir=str(folder),
            metadata_base_url=f"{index.base_url}/tuf/",
            target_dir=str(folder),
            target_base_url=f"{index.base_url}/tuf/targets/",
            bootstrap=index.root,
        )
        updater.refresh()
        target = updater.get_targetinfo(page_target_path("demo"))
        assert target is not None
        page = json.loads(Path(updater.download_target(target)).read_bytes())
        assert [file["filename"] for file in page["files"]] == [wheel_filename()]

        root = json.loads(index.root)["signed"]
        [keyid] = root["roles"]["timestamp"]["keyids"]
        assert root["keys"][keyid]["scheme"] == "ecdsa-sha2-nistp256"
        assert not (index.data / "keys" / "timestamp.pem").exists()
        logged = index.command("trust", "log", "--json").stdout.splitlines()
        assert json.loads(logged[-1])["faults"] == []
        entries = [json.loads(line) for line in logged[:-1]]
        assert {entry["keyid"] for entry in entries if entry["role"] in {"snapshot", "timestamp"}} == {keyid}
        assert PIN not in index.output.replace(keyid, "").split()
