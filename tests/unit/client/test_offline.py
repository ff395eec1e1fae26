"""An index that does not answer: what was verified goes on being used while it is fresh, and nothing else ever is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.repository import Answer, IndexServer, SignedRepository, flipped
from wheelmark.client import HttpFetcher, Limits, Verifier, metadata
from wheelmark.client.metadata import AWAY_SECONDS
from wheelmark.errors import Unavailable, Untrusted, WheelmarkError
from wheelmark.simple import SimpleFile

AWAY = Answer(503)
LIMITS = Limits(connect_seconds=2, gap_seconds=1, metadata_seconds=0.4, headers_seconds=0.4)


class User:
    """Somebody who installs `demo` now and then, with an index that comes and goes."""

    def __init__(self, server: IndexServer, repository: SignedRepository, cache: Path) -> None:
        self.server, self.repository, self.cache = server, repository, cache
        self.later = timedelta()
        self.notices: list[str] = []

    def verifier(self) -> Verifier:
        return Verifier(
            self.server.index_url,
            self.repository.root_bytes,
            self.cache,
            fetcher=HttpFetcher(LIMITS, sleep=lambda _: None),
            now=lambda: datetime.now(UTC) + self.later,
            notify=self.notices.append,
        )

    def installs(self, name: str = "demo", verifier: Verifier | None = None) -> list[SimpleFile]:
        """The files of a project, each read to its end; none for a project that provably is not there."""
        verifier = verifier or self.verifier()
        page = verifier.page(name)
        for file in page.files if page else ():
            assert b"".join(verifier.open_file(file)) == self.true_bytes(file)
            verifier.metadata(file)
        return list(page.files) if page else []

    def true_bytes(self, file: SimpleFile) -> bytes:
        return self.repository.objects[f"/files/{file.sha256}/{file.filename}"]

    def goes_away(self, answer: Answer = AWAY, only: Callable[[str], bool] = lambda _: True) -> None:
        self.server.hostile = lambda path, _: answer if only(path) else None


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    repository = SignedRepository()
    repository.expires_in = {"timestamp": timedelta(days=1), "snapshot": timedelta(days=7)}
    repository.add_wheel("demo", filler=200_000)
    repository.add_wheel("other")
    repository.publish()
    with IndexServer(repository) as server:
        yield User(server, repository, tmp_path / "cache")


def test_second_install_fetches_neither_page_nor_file(user: User) -> None:
    first = user.installs()
    before = len(user.server.requests)
    assert user.installs() == first
    assert user.server.requests[before:] == ["/tuf/2.root.json", "/tuf/timestamp.json"]


def test_what_was_installed_can_be_installed_while_the_index_is_away(user: User) -> None:
    first = user.installs()
    user.goes_away()
    verifier = user.verifier()
    for _ in range(3):
        assert user.installs(verifier=verifier) == first
    [notice] = user.notices
    assert "the index does not answer; what was verified before is good until" in notice


@pytest.mark.parametrize("status", [404, 429, 500, 502, 503])
def test_any_answer_that_is_none_counts_as_away(user: User, status: int) -> None:
    user.installs()
    user.goes_away(Answer(status))
    assert user.installs()


def test_nobody_listening_counts_as_away(user: User) -> None:
    first = user.installs()
    user.server.index_url = "http://127.0.0.1:9/simple/"  # the port of `discard`, where nobody listens
    assert user.installs() == first


def test_index_that_is_away_is_asked_again_only_after_a_while(user: User) -> None:
    elapsed = [0.0]
    user.installs()
    user.goes_away()
    lookups = metadata.TrustedMetadata(
        f"{user.server.origin}/tuf/",
        user.repository.root_bytes,
        user.cache / "metadata",
        fetcher=HttpFetcher(LIMITS, sleep=lambda _: None),
        now=lambda: datetime.now(UTC),
        monotonic=lambda: elapsed[0],
    )

    def asks() -> int:
        before = len(user.server.requests)
        assert lookups.find("simple/demo/index.json") is not None
        return len(user.server.requests) - before

    assert asks() > 0
    elapsed[0] += AWAY_SECONDS / 2
    assert asks() == 0
    elapsed[0] += AWAY_SECONDS
    assert asks() > 0
    user.server.hostile = None
    elapsed[0] += AWAY_SECONDS
    user.repository.add_wheel("demo", "2.0")
    user.repository.publish()
    found = lookups.find("simple/demo/index.json")
    assert found is not None
    assert found.length == len(user.repository.pages["demo"])


def test_index_that_comes_back_is_followed_at_once_by_a_new_run(user: User) -> None:
    user.installs()
    user.goes_away()
    user.installs()
    user.repository.add_wheel("demo", "2.0")
    user.repository.publish()
    user.server.hostile = None
    assert len(user.installs()) == 2


def test_expired_memory_is_not_used(user: User) -> None:
    user.installs()
    user.goes_away()
    user.later = timedelta(days=1, minutes=1)
    with pytest.raises(Unavailable) as caught:
        user.installs()
    assert caught.value.code == "offline-expired"
    assert "503" in str(caught.value), "it is said why the index could not be asked"


def test_memory_that_expires_while_it_is_used_is_not_used_on(user: User) -> None:
    user.installs()
    user.goes_away()
    verifier = user.verifier()
    assert user.installs(verifier=verifier)
    user.later = timedelta(days=1, minutes=1)
    with pytest.raises(Unavailable):
        user.installs(verifier=verifier)


def test_first_contact_with_an_index_that_is_away_is_unavailable(user: User) -> None:
    user.goes_away()
    with pytest.raises(Unavailable):
        user.installs()


def test_page_that_was_never_fetched_is_unavailable_and_not_absent(user: User) -> None:
    user.installs()
    user.goes_away()
    for name in ("other", *(f"unseen-{number}" for number in range(12))):
        try:
            assert user.installs(name) == [], "its bin was fetched, and proves that there is no such project"
            assert name != "other"
        except Unavailable as error:
            assert error.code in {"offline", "http-status"}


@pytest.mark.parametrize("path", ["timestamp.json", "snapshot.json", ".bins-"])
def test_wrong_answer_is_refused_however_good_the_memory(user: User, path: str) -> None:
    user.installs()
    user.repository.add_wheel("demo", "2.0")
    user.repository.publish()
    user.server.hostile = lambda asked, true: flipped(true) if true is not None and path in asked else None
    with pytest.raises(Untrusted):
        user.installs()
    assert user.notices == []


def test_captive_portal_is_refused(user: User) -> None:
    user.installs()
    user.goes_away(Answer(200, {}, b"<html>Welcome to our hotel</html>"))
    with pytest.raises(Untrusted):
        user.installs()


def test_index_that_dies_between_timestamp_and_snapshot_leaves_nothing_to_go_on_with(user: User) -> None:
    user.installs()
    user.repository.add_wheel("demo", "2.0")
    user.repository.publish()
    user.goes_away(only=lambda path: "snapshot" in path)
    with pytest.raises(Unavailable):
        user.installs()
    user.server.hostile = None
    assert len(user.installs()) == 2


def test_versions_seen_are_remembered_through_an_outage(user: User) -> None:
    old = dict(user.repository.objects)
    user.repository.add_wheel("demo", "2.0")
    user.repository.publish()
    user.installs()
    user.goes_away()
    user.installs()
    user.server.hostile, user.server.objects = None, old
    with pytest.raises(Untrusted) as caught:
        user.installs()
    assert caught.value.code == "rollback"


@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "targets.json", "bins.json"])
@pytest.mark.parametrize("damage", [flipped, lambda raw: raw[: len(raw) // 2], lambda _: b""])
def test_damaged_memory_is_fetched_again_and_never_used(
    user: User, name: str, damage: Callable[[bytes], bytes]
) -> None:
    first = user.installs()
    path = user.cache / "metadata" / name
    path.write_bytes(damage(path.read_bytes()))
    user.goes_away()
    with pytest.raises(WheelmarkError):
        user.installs()
    user.server.hostile = None
    assert user.installs() == first


@pytest.mark.parametrize("damage", [flipped, lambda raw: raw[:-1], lambda raw: raw + b"x", lambda _: b""])
def test_kept_bytes_that_were_changed_are_fetched_again_and_never_given(
    user: User, damage: Callable[[bytes], bytes]
) -> None:
    first = user.installs()
    kept = [path for path in (user.cache / "content").glob("??/*") if path.is_file()]
    assert len(kept) == 3, "page, wheel and core metadata"
    for path in kept:
        path.write_bytes(damage(path.read_bytes()))
    assert user.installs() == first
    for path in kept:
        path.write_bytes(damage(path.read_bytes()))
    user.goes_away()
    with pytest.raises(WheelmarkError):
        user.installs()


def test_file_that_left_the_page_is_not_given_though_it_is_kept(user: User) -> None:
    [file] = user.installs()
    user.repository.page_files["demo"].clear()
    user.repository.add_wheel("demo", "2.0")
    user.repository.publish()
    assert file.filename not in [listed.filename for listed in user.installs()]


def test_cache_that_cannot_be_written_stops_nobody(user: User) -> None:
    user.cache.mkdir()
    (user.cache / "content").write_bytes(b"a file where the folder should be")
    assert user.installs()
    assert user.installs()


def test_leftovers_of_a_writer_that_died_are_swept(user: User) -> None:
    user.installs()
    left = user.cache / "metadata" / "tmpabc123"
    left.write_bytes(b"half a snapshot")
    user.installs()
    assert not left.exists()
