"""Every member of a distribution, those of archives inside it too, within the bounds of a scan."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from wheelmark.dist import Bounds
from wheelmark.scan import ScanBounds, members
from wheelmark.scan.contents import MAX_GAPS
from wheelmark.scan.members import MemberReader

NAME = "widget-1-py3-none-any.whl"


def a_zip(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__dot__", ".")), body)
    return buffer.getvalue()


def paths(reader: MemberReader, raw: bytes) -> list[str]:
    return [member.path for member in reader.members(io.BytesIO(raw), filename=NAME)]


def test_members_come_before_those_of_the_archives_among_them() -> None:
    inner = a_zip(deep=a_zip(deepest=b"3"), beside=b"2")
    reader = MemberReader(keep_bytes=100)
    assert paths(reader, a_zip(first=inner, last=b"1")) == [
        "first",
        "last",
        "first!/deep",
        "first!/beside",
        "first!/deep!/deepest",
    ]
    assert reader.gaps == []


def test_member_is_read_to_its_end_and_kept_as_far_as_asked() -> None:
    (member,) = MemberReader(keep_bytes=4).members(io.BytesIO(a_zip(text=b"0123456789")), filename=NAME)
    assert (member.size, member.start) == (10, b"0123")
    assert member.sha256 == hashlib.sha256(b"0123456789").hexdigest()


def test_what_nobody_wants_is_neither_read_nor_opened() -> None:
    raw = a_zip(one=a_zip(a=b"1"), two=a_zip(a=b"2"))
    reader = MemberReader(keep_bytes=100, wanted=["two!/a"])
    assert paths(reader, raw) == ["two", "two!/a"]


def test_all_archives_share_what_they_may_yield() -> None:
    raw = a_zip(one=a_zip(a=b"1" * 600), two=a_zip(a=b"2" * 600), three=a_zip(a=b"3" * 600))
    reader = MemberReader(keep_bytes=10, bounds=ScanBounds(max_nested_bytes=1_000))
    assert paths(reader, raw) == ["one", "two", "three", "one!/a", "two!/a", "three!/a"]
    assert [gap.path for gap in reader.gaps] == ["two!/a", "three!/a"]


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        (ScanBounds(max_archive_bytes=50), "expected at most 50 bytes of an archive inside the distribution, got more"),
        (ScanBounds(max_total_archive_bytes=50), "expected at most 50 bytes of an archive inside"),
        (ScanBounds(max_nested_members=0), "expected at most 0 members, got more"),
        (ScanBounds(max_nesting=0), "expected archives in at most 0 levels, got more"),
    ],
)
def test_archive_beyond_a_bound_is_a_gap(bounds: ScanBounds, reason: str) -> None:
    reader = MemberReader(keep_bytes=10, bounds=bounds)
    assert paths(reader, a_zip(one=a_zip(a=b"1"), other=b"1")) == ["one", "other"]
    assert reason in reader.why_not("one!/a")
    assert reader.why_not("other") == ""


def test_number_of_archives_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_ARCHIVES", 2)
    reader = MemberReader(keep_bytes=10)
    found = paths(reader, a_zip(**{f"archive_{number}": a_zip(a=b"1") for number in range(4)}))
    assert found[4:] == ["archive_0!/a", "archive_1!/a"]
    assert "at most 2 archives" in reader.why_not("archive_2!/a")
    assert "at most 2 archives" in reader.why_not("archive_3!/a")


def test_what_is_not_told_any_more_is_not_taken_for_absent() -> None:
    reader = MemberReader(keep_bytes=10)
    paths(reader, a_zip(**{f"archive_{number:02}": b"PK\x03\x04" for number in range(MAX_GAPS + 5)}))
    assert len(reader.gaps) == MAX_GAPS
    assert "archive-broken" in reader.why_not("archive_00!/a")
    assert reader.why_not("archive_24!/a") == "more was not read than is told"


def test_gap_of_the_distribution_is_one_of_all_its_members() -> None:
    reader = MemberReader(keep_bytes=10, archive_bounds=Bounds(max_members=1))
    assert paths(reader, a_zip(one=b"1", two=b"2")) == ["one"]
    assert "at most 1 members" in reader.why_not("two!/a")


def test_archives_that_are_kept_at_once_have_a_bound_together() -> None:
    inner = a_zip(a=b"1")
    reader = MemberReader(keep_bytes=10, bounds=ScanBounds(max_total_archive_bytes=len(inner) + 10))
    assert paths(reader, a_zip(one=inner, two=inner)) == ["one", "two", "one!/a"]
    assert "expected at most 10 bytes" in reader.why_not("two!/a")
