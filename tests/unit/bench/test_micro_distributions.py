"""Micro-distributions: the same from the same corpus, readable, each module used once, never of a malicious archive."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest

from micro_distributions import Donor, Micro, Module, donors, micro_distributions, standard_library, write
from micro_setups import SETUPS, setup_source
from scan_samples import benign_samples, malicious_samples
from support.samples import filled
from support.scan import an_sdist
from wheelmark.scan import ScanBounds
from wheelmark.scan.contents import read_contents
from wheelmark.scan.engine import ARCHIVE_BOUNDS

PADDING = "\n".join(f"# line {number} of a comment that makes the module long enough" for number in range(4))


def a_module(number: int, *, capable: bool = False) -> Module:
    body = "import subprocess\n" if capable else ""
    return Module(f"module_{number}", f"{body}{PADDING}\nVALUE = {number}\n".encode())


def a_donor(modules: int = 12, setup: bytes | None = None) -> Donor:
    found = tuple(a_module(number, capable=number % 3 == 0) for number in range(modules))
    return Donor("dev", "some-project", found, setup)


def members_of(micro: Micro) -> dict[str, bytes]:
    contents = read_contents(
        io.BytesIO(micro.content), filename=micro.filename, bounds=ScanBounds(), archive_bounds=ARCHIVE_BOUNDS
    )
    assert contents.gaps == []
    return contents.sources


def test_the_same_donor_gives_the_same_bytes() -> None:
    first, again = (list(micro_distributions(a_donor(), at_most=4)) for _ in range(2))
    assert first == again
    assert len(first) == 4


def test_no_archive_holds_the_time_at_which_it_was_made() -> None:
    sdists = [micro.content for micro in micro_distributions(a_donor(), at_most=4) if micro.filename.endswith(".gz")]
    assert sdists
    assert {content[4:8] for content in sdists} == {bytes(4)}  # MTIME (RFC 1952)


def test_another_project_gives_other_layouts_but_still_its_own_group() -> None:
    other = Donor("dev", "other-project", a_donor().modules)
    assert {micro.group for micro in micro_distributions(other, at_most=4)} == {"other-project"}


def test_every_archive_is_read_whole_by_the_scanners_reader_and_holds_one_to_three_modules() -> None:
    for number in range(12):
        donor = Donor("dev", f"project-{number}", a_donor().modules)
        for micro in micro_distributions(donor, at_most=4):
            held = [module for module in donor.modules if module.source in members_of(micro).values()]
            assert 1 <= len(held) <= 3


def test_no_module_is_used_twice() -> None:
    donor = a_donor()
    used = [
        module.name
        for micro in micro_distributions(donor, at_most=4)
        for module in donor.modules
        if module.source in members_of(micro).values()
    ]
    assert len(used) == len(set(used))


def test_every_second_one_is_made_of_modules_that_can_do_something() -> None:
    micros = list(micro_distributions(a_donor(), at_most=4))
    assert [any(b"subprocess\n#" in raw for raw in members_of(micro).values()) for micro in micros] == [
        True,
        False,
        True,
        False,
    ]


def test_a_donor_without_modules_gives_nothing() -> None:
    assert list(micro_distributions(Donor("dev", "empty", ()), at_most=4)) == []


def test_the_projects_own_setup_is_used_in_the_first_sdist() -> None:
    own = b"from setuptools import setup\nsetup(name='own')\n"
    found = []
    for number in range(8):
        donor = Donor("dev", f"project-{number}", a_donor().modules, own)
        for position, micro in enumerate(micro_distributions(donor, at_most=2)):
            if own in members_of(micro).values():
                found.append((position, micro.filename.endswith(".tar.gz")))
    assert found
    assert set(found) == {(0, True)}


@pytest.mark.parametrize("shape", range(len(SETUPS)))
def test_every_shape_of_setup_is_python_that_names_the_project(shape: int) -> None:
    source = setup_source(shape, {"name": "widget", "version": "1.0", "py_modules": ["one"]})
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [
        ast.literal_eval(keyword.value)
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "setup"
        for keyword in call.keywords
        if keyword.arg == "name"
    ]
    assert named == ["widget"]


def test_donors_are_the_benign_projects_and_the_standard_library(tmp_path: Path) -> None:
    made = filled(tmp_path)
    long = f"{PADDING}\ndef add(one, other):\n    return one + other\n"
    members = {"pkg/useful.py": long, "tests/test_useful.py": long + "A = 1\n", "pkg/broken.py": long + "def (\n"}
    made.add_benign("wide", "useful-1.0.tar.gz", an_sdist(members), project="useful")
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "calendars.py").write_text(f"{PADDING}\nDAYS = 7\n")
    found = donors(benign_samples(made.places, kinds=("wide",)), tmp_path / "library")
    assert [(donor.source, donor.project, [module.name for module in donor.modules]) for donor in found] == [
        ("repo", "useful", ["useful"]),
        ("stdlib", "stdlib-calendars", ["calendars"]),
    ]


def test_a_malicious_archive_is_never_a_donor(tmp_path: Path) -> None:
    made = filled(tmp_path)
    with pytest.raises(RuntimeError, match="expected benign distributions only"):
        donors(malicious_samples(made.malicious_list), tmp_path)


def test_the_standard_librarys_tests_are_left_out(tmp_path: Path) -> None:
    for name in ("calm.py", "test/test_calm.py", "calmer/tests/more.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{PADDING}\nNAME = {name!r}\n")
    assert [donor.project for donor in standard_library(tmp_path)] == ["stdlib-calm"]


def test_what_is_written_can_be_read_back_as_samples(tmp_path: Path) -> None:
    made = filled(tmp_path)
    count = write(micro_distributions(a_donor(), at_most=3), made.places.corpus)
    samples = benign_samples(made.places, kinds=("micro",))
    assert count == len(samples) == 3
    assert {(sample.source, sample.group) for sample in samples} == {("dev", "some-project")}
