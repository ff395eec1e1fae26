"""What the test vectors tell. One function, one vector; its name is the vector's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from support.repository import SignedRepository, flipped
from support.vectors import (
    ABSENT,
    CORE_METADATA,
    DEMO,
    LONG_AGO,
    PAGE,
    PROVENANCE,
    Story,
    bytes_of,
    changed_page,
    page_of,
    path_of,
    refused,
    resigned,
    signer_named,
    story,
)

FILE = {"file": DEMO, "of": "demo"}
METADATA = {"core-metadata": DEMO, "of": "demo"}
ATTESTED = {"provenance": DEMO, "of": "demo"}
TIMESTAMP = "/tuf/timestamp.json"


@story("An index as it should be: the page, a file, its core metadata and its provenance are accepted.")
def good(told: Story) -> None:
    told.ask(page_of(DEMO))
    told.ask(bytes_of(b"the bytes of demo 1.0\n"), FILE)
    told.ask(bytes_of(CORE_METADATA), METADATA)
    told.ask(bytes_of(PROVENANCE), ATTESTED)


@story("The bin of the name is complete, signed, and does not list it: proof that the index has no such project.")
def absent(told: Story) -> None:
    told.ask(ABSENT, {"page": "no-such-project"})


@story("The client starts from root 1 and goes through 2 to 3, each signed by its own and the one before.")
def root_chain(told: Story) -> None:
    told.repository.rotate_key("snapshot")
    told.repository.rotate_key("timestamp")
    told.repository.publish()
    told.ask(page_of(DEMO))


@story("A new release is seen by a client that knows the index, and the old version of everything is gone.")
def update(told: Story) -> None:
    told.ask(page_of(DEMO))
    old = dict(told.repository.objects)
    told.repository.add_file("demo-2.0-py3-none-any.whl", b"the bytes of demo 2.0\n")
    told.repository.publish()
    superseded = ("snapshot.json", "index.json")
    gone = {
        path: None
        for path in old
        if (path.endswith(superseded) or ".bins-" in path) and path not in _current(told.repository)
    }
    told.ask_of(page_of(DEMO, "demo-2.0-py3-none-any.whl"), PAGE, gone)


def _current(repository: SignedRepository) -> set[str]:
    snapshot = json.loads(repository.objects[TIMESTAMP])["signed"]["meta"]["snapshot.json"]["version"]
    path = f"/tuf/{snapshot}.snapshot.json"
    listed = json.loads(repository.objects[path])["signed"]["meta"]
    names = {f"/tuf/{entry['version']}.{name}" for name, entry in listed.items()}
    pages = {
        f"/tuf/targets/simple/{name}/{hashlib.sha256(raw).hexdigest()}.index.json"
        for name, raw in repository.pages.items()
    }
    return {path, *names, *pages}


@story("Yanked files stay listed (PEP 592): it is for the resolver to leave them out.")
def yanked(told: Story) -> None:
    changed_page(told, lambda page: page["files"][0].update(yanked="does not build"))
    told.ask(page_of(DEMO))


@story("Keys that the client does not know are passed over (PEP 629), here and in every object.")
def unknown_keys(told: Story) -> None:
    def add(page: dict[str, Any]) -> None:
        page["meta"]["api-version"] = "1.99"
        page["a-key-of-the-future"] = {"x": 1}
        page["files"][0]["another"] = [1, 2]

    changed_page(told, add)
    told.ask(page_of(DEMO))


def _expired(role: str) -> Callable[[Story], None]:
    def tell(told: Story) -> None:
        told.repository.expires_in[role] = LONG_AGO
        if role == "root":
            told.repository.publish_root()
        if role in {"targets", "bins"}:
            told.repository.publish_delegators()
        told.repository.add_file("demo-2.0-py3-none-any.whl", b"the bytes of demo 2.0\n")
        told.repository.publish()
        told.ask(refused("expired"))

    tell.__name__ = f"expired_{role}"
    return tell


for _role in ("root", "timestamp", "snapshot", "targets", "bins", "bin"):
    story(f"The {_role} expired years ago (TUF specification § 5: freeze).")(_expired(_role))


@story("The timestamp is older than one that the client has seen.")
def rollback_timestamp(told: Story) -> None:
    old = told.repository.objects[TIMESTAMP]
    told.repository.publish()
    told.ask(page_of(DEMO))
    told.ask_of(refused("rollback"), PAGE, {TIMESTAMP: old})


@story("A newer timestamp, rightly signed, names an older snapshot than one that the client has seen.")
def rollback_snapshot(told: Story) -> None:
    told.repository.publish()
    told.ask(page_of(DEMO))

    def older(signed: Any) -> None:
        signed.version += 1
        old = told.repository.objects["/tuf/1.snapshot.json"]
        meta = signed.snapshot_meta
        meta.version, meta.length, meta.hashes = 1, len(old), {"sha256": hashlib.sha256(old).hexdigest()}

    told.ask_of(refused("rollback"), PAGE, {TIMESTAMP: resigned(told, TIMESTAMP, "timestamp", older)})


@story("A newer snapshot, rightly signed, lists an older version of the bin than one that the client has seen.")
def rollback_bin(told: Story) -> None:
    told.repository.add_file("demo-2.0-py3-none-any.whl", b"the bytes of demo 2.0\n")
    told.repository.publish()
    told.ask(page_of(DEMO, "demo-2.0-py3-none-any.whl"))
    told.ask_of(refused("rollback"), PAGE, _older_bin(told))


def _older_bin(told: Story) -> dict[str, bytes | None]:
    repository = told.repository
    bin_name = repository.bin_path("demo").split(".", 1)[1]
    version = json.loads(repository.objects[TIMESTAMP])["signed"]["meta"]["snapshot.json"]["version"]

    def older(signed: Any) -> None:
        signed.version += 1
        signed.meta[bin_name].version -= 1

    snapshot = resigned(told, f"/tuf/{version}.snapshot.json", "snapshot", older)

    def naming(signed: Any) -> None:
        signed.version += 1
        meta = signed.snapshot_meta
        meta.version, meta.length = version + 1, len(snapshot)
        meta.hashes = {"sha256": hashlib.sha256(snapshot).hexdigest()}

    return {f"/tuf/{version + 1}.snapshot.json": snapshot, TIMESTAMP: resigned(told, TIMESTAMP, "timestamp", naming)}


@story("The timestamp is signed by a key that the root does not name.")
def foreign_key(told: Story) -> None:
    told.repository.signers["timestamp"] = signer_named("a stranger")
    told.repository.publish()
    told.ask(refused("signature"))


@story("The root wants two signatures of the snapshot, and there is one.")
def threshold_not_met(told: Story) -> None:
    told.repository.require_two("snapshot")
    told.repository.co_signers.clear()
    told.repository.publish()
    told.ask(refused("signature"))


@story("The second of two signatures is the first one again: one key counts once, whatever the keyid says.")
def threshold_met_by_one_key_twice(told: Story) -> None:
    told.repository.require_two("snapshot")
    told.repository.co_signers["snapshot"] = [told.repository.signers["snapshot"]]
    told.repository.publish()
    told.ask(refused("signature"))


@story("A key that a later root does not name any more signs the timestamp.")
def revoked_key(told: Story) -> None:
    old = told.repository.signers["timestamp"]
    told.repository.rotate_key("timestamp")
    told.repository.signers["timestamp"] = old
    told.repository.publish()
    told.ask(refused("signature"))


@story("The bin is signed by the snapshot's key.")
def wrong_role(told: Story) -> None:
    bin_path = told.repository.bin_path("demo")
    told.ask_of(refused("signature"), PAGE, {bin_path: resigned(told, bin_path, "snapshot", lambda _: None)})


@story("One bit of the snapshot is another.")
def changed_snapshot(told: Story) -> None:
    path = "/tuf/2.snapshot.json"
    told.ask_of(refused("hash"), PAGE, {path: flipped(told.repository.objects[path])})


@story("One bit of the page is another.")
def changed_page_bytes(told: Story) -> None:
    path = _page_path(told)
    told.ask_of(refused("hash"), PAGE, {path: flipped(told.repository.objects[path])})


def _page_path(told: Story) -> str:
    return next(path for path in _current(told.repository) if path.endswith("index.json"))


@story("The page is shorter than the metadata says.")
def truncated_page(told: Story) -> None:
    path = _page_path(told)
    told.ask_of(refused("hash"), PAGE, {path: told.repository.objects[path][:-1]})


@story("The signed page is that of another project: its name is not the one that was asked for.")
def page_of_another_project(told: Story) -> None:
    changed_page(told, lambda page: page.update(name="other"))
    told.ask(refused("page-foreign"))


@story("The signed page lists a file whose name belongs to another project.")
def file_of_another_project(told: Story) -> None:
    def rename(page: dict[str, Any]) -> None:
        file = page["files"][0]
        file["filename"] = "other-1.0-py3-none-any.whl"
        file["url"] = file["url"].replace(DEMO, file["filename"])

    changed_page(told, rename)
    told.ask(refused("page-foreign-file"))


@story("The signed page lists a file whose name is no name of a wheel or sdist.")
def file_name_that_says_nothing(told: Story) -> None:
    def rename(page: dict[str, Any]) -> None:
        file = page["files"][0]
        file["filename"] = "demo-1.0.exe"
        file["url"] = file["url"].replace(DEMO, file["filename"])

    changed_page(told, rename)
    told.ask(refused("page-filename"))


@story("The signed page has no sha256 for a file; PEP 691 allows that, the chain does not.")
def missing_sha256(told: Story) -> None:
    changed_page(told, lambda page: page["files"][0].update(hashes={}))
    told.ask(refused("page-form"))


@story("The signed page has no size for a file: whoever serves it could send for ever.")
def missing_size(told: Story) -> None:
    changed_page(told, lambda page: page["files"][0].pop("size"))
    told.ask(refused("page-form"))


@story("The signed page lists one file name twice, with different hashes.")
def file_name_twice(told: Story) -> None:
    def repeat(page: dict[str, Any]) -> None:
        first = page["files"][0]
        digest = hashlib.sha256(b"another").hexdigest()
        url = first["url"].replace(first["hashes"]["sha256"], digest)
        page["files"].append({**first, "hashes": {"sha256": digest}, "url": url})

    changed_page(told, repeat)
    told.ask(refused("page-duplicate"))


@story("The signed page gives a file another address than the one that its hash and name give.")
def address_elsewhere(told: Story) -> None:
    changed_page(told, lambda page: page["files"][0].update(url="https://elsewhere.example/" + DEMO))
    told.ask(refused("page-url"))


@story("The signed page is of a major version of the API that the client does not know (PEP 629).")
def unknown_major_version(told: Story) -> None:
    changed_page(told, lambda page: page["meta"].update({"api-version": "2.0"}))
    told.ask(refused("page-form"))


@story("The signed page has a status that the client does not know (PEP 792): it may mean not to install.")
def unknown_status(told: Story) -> None:
    changed_page(told, lambda page: page.update({"project-status": {"status": "withdrawn"}}))
    told.ask(refused("page-form"))


@story("A quarantined project lists no files (PEP 792); here the signed page does.")
def quarantined_with_files(told: Story) -> None:
    changed_page(told, lambda page: page.update({"project-status": {"status": "quarantined"}}))
    told.ask(refused("page-quarantined"))


@story("One bit of the file is another.")
def changed_file(told: Story) -> None:
    path = path_of(told)
    told.ask_of(refused("file"), FILE, {path: flipped(told.repository.objects[path])})


@story("The file ends early.")
def truncated_file(told: Story) -> None:
    path = path_of(told)
    told.ask_of(refused("file"), FILE, {path: told.repository.objects[path][:-1]})


@story("The file goes on after its end.")
def longer_file(told: Story) -> None:
    path = path_of(told)
    told.ask_of(refused("file"), FILE, {path: told.repository.objects[path] + b"and more"})


@story("The core metadata is not that of the hash in the page: other dependencies would be installed (PEP 714).")
def changed_core_metadata(told: Story) -> None:
    path = path_of(told, ".metadata")
    told.ask_of(refused("file"), METADATA, {path: CORE_METADATA + b"Requires-Dist: evil\n"})


@story("The provenance is not that of the hash in the page.")
def changed_provenance(told: Story) -> None:
    told.ask_of(refused("file"), ATTESTED, {path_of(told, ".provenance"): b"{}"})


@story("The page names provenance, and the index says that there is none: not the same as a file without any.")
def withheld_provenance(told: Story) -> None:
    told.ask_of({"result": "unavailable"}, ATTESTED, {path_of(told, ".provenance"): None})


@story("A file that the page does not list may not be asked for, though it lies on the server.")
def unlisted_file(told: Story) -> None:
    told.repository.objects["/files/" + "0" * 64 + "/demo-9.0-py3-none-any.whl"] = b"unlisted\n"
    told.ask({"result": "unlisted"}, {"file": "demo-9.0-py3-none-any.whl", "of": "demo"})


@story("The page is missing although the metadata lists it: not a proof of absence.")
def missing_page(told: Story) -> None:
    told.ask_of({"result": "unavailable"}, PAGE, {_page_path(told): None})


@story("The bin is missing: not a proof of absence.")
def missing_bin(told: Story) -> None:
    told.ask_of({"result": "unavailable"}, PAGE, {told.repository.bin_path("demo"): None})


@story(
    "The mirror answers for the bin with another, signed by the same key and of the same version: no proof of absence."
)
def bin_in_place_of_another(told: Story) -> None:
    twin = told.repository.twin_of_bin("demo")
    told.ask_of(refused("bin"), PAGE, {told.repository.bin_path("demo"): twin})
    told.ask(page_of(*told.repository.page_files["demo"]))


@story("The same with a bin that lists nothing: only its own name tells which it is.")
def empty_bin_in_place_of_another(told: Story) -> None:
    twin = told.repository.twin_of_bin("demo", empty=True)
    told.ask_of(refused("bin"), PAGE, {told.repository.bin_path("demo"): twin})
    told.ask(page_of(*told.repository.page_files["demo"]))


@story("The signed bin does not say which it is: no proof of absence.")
def bin_without_a_name(told: Story) -> None:
    def nameless(signed: Any) -> None:
        signed.unrecognized_fields.clear()

    path = told.repository.bin_path("no-such-project")
    changed = {path: resigned(told, path, "bin", nameless)}
    told.ask_of(refused("bin-nameless"), {"page": "no-such-project"}, changed)


@story("A name that is not normalized (PEP 503) is never looked up: it would seem absent.")
def name_not_normalized(told: Story) -> None:
    told.ask({"result": "misuse"}, {"page": "Demo"})
