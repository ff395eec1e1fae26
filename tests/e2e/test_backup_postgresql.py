"""On PostgreSQL `wheelmark admin backup` and `restore` name commands: they are typed here, word for word."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from support.distributions import build_wheel, wheel_filename
from support.postgresql import running_postgresql
from support.server import RunningIndex

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(300)]


def typed(index: RunningIndex, word: str, copy: Path) -> None:
    """What the refusal says, as the operator types it."""
    refused = index.command("admin", word, str(copy), "--json", check=False)
    assert refused.returncode == 1
    named = re.search(r"its own tool: (.*?)( \(stop|$)", json.loads(refused.stdout)["message"].removesuffix("]"))
    assert named is not None, refused.stdout
    words = shlex.split(named[1].partition(" [")[0])
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_index_comes_back_from_a_dump(tmp_path: Path) -> None:
    copy = tmp_path / "index.dump"
    with (
        running_postgresql() as database,
        RunningIndex(tmp_path / "data", fresh=True, database=database, scan_workers=1) as index,
    ):
        token = index.token()

        def publish(project: str) -> None:
            assert index.upload(wheel_filename(project), build_wheel(project), token=token).status == 200
            index.wait_published(project, wheel_filename(project))

        publish("alpha")
        typed(index, "backup", copy)
        publish("beta")
        assert index.stop() == 0
        typed(index, "restore", copy)
        recovered = index.command("trust", "recover", "--json", check=False)
        assert recovered.returncode == 1, recovered.stderr
        done = json.loads(recovered.stdout)
        assert [lost["project"] for lost in done["withdrawn"]["lost"]] == ["beta"]
        index.start()
        index.wait_ready()
        assert index.listed("alpha") == [wheel_filename("alpha")]
        assert index.listed("beta") == []
        publish("beta")
        audited = index.command("trust", "audit", "--files", check=False)
        assert (audited.returncode, audited.stderr) == (0, "")
