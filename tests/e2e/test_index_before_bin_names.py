"""An index that was founded before bins said their names (decision 0017) proves what it lacks after one rotation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tuf.ngclient import Updater  # type: ignore[attr-defined]  # tuf re-exports without saying so

from e2e.test_ceremonies_running import held
from support.distributions import build_wheel, wheel_filename
from support.server import RunningIndex
from wheelmark.client import Verifier
from wheelmark.client.incidents import Incident
from wheelmark.errors import Untrusted

# Every process of the index runs this before anything else, and writes bins as they were written then.
AS_BEFORE = """
import re
from wheelmark.trust import contents, metadata

def nameless(*words, _frame=metadata.frame_bin, **terms):
    return re.sub(b',"x-wheelmark-role":"[^"]*"', b"", _frame(*words, **terms))

contents.frame_bin = metadata.frame_bin = nameless
"""


def by_python_tuf(index: RunningIndex, root: bytes, folder: Path, name: str) -> bool:
    folder.mkdir(exist_ok=True)
    base = f"{index.base_url}/tuf/"
    client = Updater(str(folder), base, target_dir=str(folder), target_base_url=f"{base}targets/", bootstrap=root)
    client.refresh()
    return client.get_targetinfo(f"simple/{name}/index.json") is not None


@pytest.mark.slow
def test_rotation_of_the_bins_key_gives_the_bins_of_an_older_index_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    (before / "sitecustomize.py").write_text(AS_BEFORE)
    filename = wheel_filename()
    with monkeypatch.context() as then:
        then.setenv("PYTHONPATH", os.pathsep.join([str(before), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
        with RunningIndex(tmp_path / "data", fresh=True) as index:
            index.upload(filename, build_wheel(), token=index.token())
            index.wait_published("demo", filename)
    with RunningIndex(tmp_path / "data") as index:
        root = index.root
        ours = Verifier(f"{index.base_url}/simple/", root, tmp_path / "ours")
        assert ours.page("demo") is not None
        assert by_python_tuf(index, root, tmp_path / "tuf", "demo")
        with pytest.raises(Untrusted) as caught:
            ours.page("no-such")
        assert "`wheelmark trust rotate bins-key`" in Incident(caught.value).line()
        audited = index.command("trust", "audit", check=False)
        assert (audited.returncode, "[bin-name]" in audited.stdout + audited.stderr) == (1, True)

        held(index, tmp_path, "rotate", "bins-key")

        for memory in ("ours", "new"):  # a client that has the old bins, and one that has nothing
            client = Verifier(f"{index.base_url}/simple/", root, tmp_path / memory)
            assert client.page("demo") is not None
            assert client.page("no-such") is None
        assert by_python_tuf(index, root, tmp_path / "tuf", "demo")
        assert not by_python_tuf(index, root, tmp_path / "tuf", "no-such")
        assert "Everything agrees." in index.command("trust", "audit").stdout
