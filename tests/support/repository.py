"""A small signed index, built with python-tuf's own Metadata API, and a server for it that can be told to misbehave.

Independent of `wheelmark.trust` and of the server, so that the client is proven against the standard and not
against our own idea of it.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import zstandard
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported without saying so
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf re-exports without saying so
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from support.client import a_wheel, core_metadata_of
from support.tls import HOST, Identity
from wheelmark.dist import NormalizedName, parse_filename
from wheelmark.simple import ProjectPage, SimpleFile, Status, file_url, render_page_json

ROLES = ("root", "targets", "bins", "bin", "snapshot", "timestamp")
BIT_LENGTH = 2
UPLOADED_AT = datetime(2026, 3, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


class SignedRepository:
    """What lies on the server, by path, and the keys to sign it. Change it, then `publish()`."""

    def __init__(
        self,
        *,
        signer: Callable[[str], CryptoSigner] = lambda _: CryptoSigner.generate_ed25519(),
        lifetime: timedelta = YEAR,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`signer` makes the key of a role; with one that always makes the same, and a still clock, so do all bytes."""
        self._new_signer, self._lifetime, self._clock = signer, lifetime, clock
        self.signers = {role: signer(role) for role in ROLES}
        self.co_signers: dict[str, list[CryptoSigner]] = {}  # by role: more keys for a threshold above one
        self.objects: dict[str, bytes] = {}
        self.pages: dict[str, bytes] = {}  # what is signed; may be set to anything
        self.page_files: dict[str, dict[str, SimpleFile]] = {}
        self.file_targets: dict[str, TargetFile] = {}  # by path: files that are targets of their own (strict mode)
        self.top_targets: dict[str, TargetFile] = {}  # what `targets.json` lists itself, which ours never does
        self.expires_in: dict[str, timedelta] = {}  # by role, `lifetime` unless said
        self._versions = dict.fromkeys(("root", "targets", "bins", "snapshot", "timestamp"), 0)
        self._bins: dict[str, tuple[int, bytes]] = {}
        self._signed_by_other_key = False  # all bins, and `bins` names a new key
        self.root = Root(expires=self._expires("root"), consistent_snapshot=True)
        for role in ("root", "targets", "snapshot", "timestamp"):
            self.root.add_key(self._key(role), role)
        self.publish_root()
        self.publish_delegators()
        self.publish()

    @property
    def root_bytes(self) -> bytes:
        """The first root: what a user gets by hand."""
        return self.objects["/tuf/1.root.json"]

    def add_wheel(
        self,
        name: str,
        version: str = "1.0",
        *,
        requires: Iterable[str] = (),
        filler: int = 0,
        provenance: bytes | None = None,
    ) -> SimpleFile:
        """A wheel of a project, with core metadata beside it. Not yet published."""
        content = a_wheel(name, version, requires=requires, filler=filler)
        metadata = core_metadata_of(name, version, requires)
        filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        return self.add_file(filename, content, metadata=metadata, provenance=provenance)

    def add_file(
        self, filename: str, content: bytes, *, metadata: bytes | None = None, provenance: bytes | None = None
    ) -> SimpleFile:
        """Any file of a project. Not yet published."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = f"/files/{sha256}/{filename}"
        self.objects[path] = content
        if metadata is not None:
            self.objects[f"{path}.metadata"] = metadata
        if provenance is not None:
            self.objects[f"{path}.provenance"] = provenance
        file = SimpleFile(
            filename=filename,
            sha256=sha256,
            size=len(content),
            upload_time=UPLOADED_AT,
            url=file_url(sha256, filename),
            core_metadata_sha256=None if metadata is None else hashlib.sha256(metadata).hexdigest(),
            provenance_sha256=None if provenance is None else hashlib.sha256(provenance).hexdigest(),
            provenance_url=None if provenance is None else f"https://index.example.org{path}.provenance",
        )
        name = parse_filename(filename, strict=False).name
        self.page_files.setdefault(name, {})[filename] = file
        self.render(name)
        return file

    def render(self, name: str) -> None:
        """The project's page from its files."""
        files = tuple(self.page_files[name].values())
        versions = dict.fromkeys(str(parse_filename(file.filename, strict=False).version) for file in files)
        page = ProjectPage(
            name=NormalizedName(name), files=files, versions=tuple(versions), status=Status.ACTIVE, serial=1
        )
        self.pages[name] = render_page_json(page)

    def publish(self) -> None:
        """Bins that changed, snapshot, and timestamp last."""
        succinct = self._succinct()
        rows: dict[str, dict[str, TargetFile]] = {bin_name: {} for bin_name in succinct.get_roles()}
        for name, raw in self.pages.items():
            path = f"simple/{name}/index.json"
            sha256 = hashlib.sha256(raw).hexdigest()
            self.objects[f"/tuf/targets/simple/{name}/{sha256}.index.json"] = raw
            rows[succinct.get_role_for_target(path)][path] = TargetFile(len(raw), {"sha256": sha256}, path)
        for path, target in self.file_targets.items():
            rows[succinct.get_role_for_target(path)][path] = target
        meta = {f"{role}.json": MetaFile(self._versions[role]) for role in ("targets", "bins")}
        for bin_name, targets in rows.items():
            version, signed = self._bins.get(bin_name, (0, b""))
            if (
                version == 0
                or self._signed_by_other_key
                or Metadata[Targets].from_bytes(signed).signed.targets != targets
            ):
                bin_targets = Targets(
                    version + 1,
                    expires=self._expires("bin"),
                    targets=targets,
                    unrecognized_fields={"x-wheelmark-role": bin_name},
                )
                self._bins[bin_name] = (version + 1, self._sign(bin_targets, "bin"))
                self.objects[f"/tuf/{version + 1}.{bin_name}.json"] = self._bins[bin_name][1]
            meta[f"{bin_name}.json"] = MetaFile(self._bins[bin_name][0])
        self._signed_by_other_key = False
        version = self._next("snapshot")
        raw = self._sign(Snapshot(version, expires=self._expires("snapshot"), meta=meta), "snapshot")
        self.objects[f"/tuf/{version}.snapshot.json"] = raw
        listed = MetaFile(version, len(raw), {"sha256": hashlib.sha256(raw).hexdigest()})
        self.publish_timestamp(listed)

    def publish_timestamp(self, snapshot: MetaFile) -> None:
        """Only the timestamp, naming this snapshot."""
        timestamp = Timestamp(self._next("timestamp"), expires=self._expires("timestamp"), snapshot_meta=snapshot)
        self.objects["/tuf/timestamp.json"] = self._sign(timestamp, "timestamp")

    def publish_root(self, *, also_signed_by: Iterable[CryptoSigner] = ()) -> None:
        """The next version of the root, as `self.root` now stands."""
        self.root.version = self._next("root")
        self.root.expires = self._expires("root")
        metadata = Metadata(self.root)
        for signer in (self.signers["root"], *self.co_signers.get("root", ()), *also_signed_by):
            metadata.sign(signer, append=True)
        self.objects[f"/tuf/{self.root.version}.root.json"] = metadata.to_bytes(JSONSerializer(compact=True))

    def require_two(self, role: str) -> None:
        """A second key and threshold 2 for a top-level role, by a new root; what is published then has both."""
        second = self._new_signer(f"{role} 2")
        self.co_signers[role] = [second]
        self.root.add_key(second.public_key, role)
        self.root.roles[role].threshold = 2
        self.publish_root()

    def rotate_key(self, role: str) -> None:
        """Another key for a top-level role, by a new root."""
        self.root.revoke_key(self.signers[role].public_key.keyid, role)
        self.signers[role] = self._new_signer(f"{role} next")
        self.root.add_key(self._key(role), role)
        self.publish_root()

    def rotate_bin_key(self) -> None:
        """Another key for all bins, by the role that delegates to them; the next publication signs them all again."""
        self.signers["bin"] = CryptoSigner.generate_ed25519()
        self._signed_by_other_key = True
        self.publish_delegators()

    def publish_delegators(self) -> None:
        """New versions of the two offline roles; the next snapshot lists them."""
        everything = ["simple/*/index.json", "files/*/*"]
        bins = DelegatedRole("bins", [self._key("bins").keyid], 1, False, paths=everything)
        targets = Targets(self._next("targets"), expires=self._expires("targets"), targets=dict(self.top_targets))
        targets.delegations = Delegations({bins.keyids[0]: self._key("bins")}, roles={"bins": bins})
        self.objects[f"/tuf/{targets.version}.targets.json"] = self._sign(targets, "targets")
        delegator = Targets(self._next("bins"), expires=self._expires("bins"))
        bin_key = self._key("bin")
        delegator.delegations = Delegations({bin_key.keyid: bin_key}, succinct_roles=self._succinct())
        self.objects[f"/tuf/{delegator.version}.bins.json"] = self._sign(delegator, "bins")

    def bin_path(self, name: str) -> str:
        """Where the published bin of a project lies."""
        bin_name = self._succinct().get_role_for_target(f"simple/{name}/index.json")
        return f"/tuf/{self._bins[bin_name][0]}.{bin_name}.json"

    def twin_of_bin(self, name: str, *, empty: bool = False) -> bytes:
        """Another published bin, of the version that the bin of a project has now; what is needed for it is published.
        An empty one has lost the project that it had, and `name` has another release then."""
        succinct = self._succinct()
        own = succinct.get_role_for_target(f"simple/{name}/index.json")
        neighbour = next(
            other
            for other in (f"neighbour-{number}" for number in range(64))
            if succinct.get_role_for_target(f"simple/{other}/index.json") != own
        )
        release = 0
        while self._published_bin(neighbour)[0] < self._published_bin(name)[0] or release == 0:
            release += 1
            self.add_file(f"{neighbour.replace('-', '_')}-{release}.0-py3-none-any.whl", b"neighbour")
            self.publish()
        if empty:
            del self.pages[neighbour]
            self.publish()
        while self._published_bin(name)[0] < self._published_bin(neighbour)[0]:
            release += 1
            self.add_file(f"{name.replace('-', '_')}-{release}.0-py3-none-any.whl", b"another release")
            self.publish()
        (version, twin), (own_version, _) = self._published_bin(neighbour), self._published_bin(name)
        assert version == own_version
        return twin

    def _published_bin(self, name: str) -> tuple[int, bytes]:
        return self._bins[self._succinct().get_role_for_target(f"simple/{name}/index.json")]

    def _succinct(self) -> SuccinctRoles:
        return SuccinctRoles([self._key("bin").keyid], 1, BIT_LENGTH, "bins")

    def _key(self, role: str) -> Key:
        return self.signers[role].public_key

    def _expires(self, role: str) -> datetime:
        return self._clock().replace(microsecond=0) + self.expires_in.get(role, self._lifetime)

    def _next(self, role: str) -> int:
        self._versions[role] += 1
        return self._versions[role]

    def _sign(self, signed: Targets | Snapshot | Timestamp, role: str) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        for signer in (self.signers[role], *self.co_signers.get(role, ())):
            metadata.sign(signer, append=True)
        return metadata.to_bytes(JSONSerializer(compact=True))


@dataclass(frozen=True)
class Answer:
    """What the server says instead of the truth. The body may be endless; a length of None closes at the end."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    raw: bool = False  # the body is all that is sent, status line and headers are its own


Hostile = Callable[[str, bytes | None], Answer | bytes | None]  # path, true bytes → other answer or bytes, None: true


class IndexServer:
    """Serves a repository on a free port of this machine, compressing metadata for clients that accept it."""

    def __init__(
        self, repository: SignedRepository, hostile: Hostile | None = None, *, identity: Identity | None = None
    ) -> None:
        self._identity = identity  # with one, it is an https server
        self.objects: Mapping[str, bytes] = repository.objects
        self.hostile = hostile
        self.makes_deltas = False
        self.requests: list[str] = []
        self._listen(0)
        scheme, host = ("http", "127.0.0.1") if identity is None else ("https", HOST)
        self.origin = f"{scheme}://{host}:{self._server.server_port}"
        self.index_url = f"{self.origin}/simple/"

    def _listen(self, port: int) -> None:
        self._server = _QuietServer(("127.0.0.1", port), self._handler())
        if self._identity is not None:
            self._server.socket = self._identity.over(self._server.socket)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> IndexServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, accept_encoding: str) -> Answer:
        """The answer to a GET of `path`."""
        self.requests.append(path)
        true = self.objects.get(path) or (self._delta(path) if self.makes_deltas else None)
        said = self.hostile(path, true) if self.hostile is not None else None
        if isinstance(said, Answer):
            return said
        body = true if said is None else said
        if body is None:
            return Answer(404, {}, b"not here")
        if path.endswith(".json") and "gzip" in accept_encoding:
            return Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(body, 1))
        return Answer(200, {}, body)

    def _delta(self, path: str) -> bytes | None:
        """The new file, compressed with the old one as the dictionary."""
        found = re.fullmatch(r"/tuf/deltas/(\d+)\.([a-z0-9-]+)\.from-(\d+)\.zst", path)
        new, old = (found and self.objects.get(f"/tuf/{found[group]}.{found[2]}.json") for group in (1, 3))
        return None if new is None or old is None else a_delta(old, new)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                answer = index.answer(self.path, self.headers.get("Accept-Encoding", ""))
                with suppress(OSError):  # the client hangs up when it has seen enough, which is often the point
                    self._send(answer)

            def _send(self, answer: Answer) -> None:
                if answer.raw:
                    self._send_raw(answer)
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if isinstance(answer.body, bytes):
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)
                    return
                self.send_header("Connection", "close")
                self.end_headers()
                self._send_raw(answer)

            def _send_raw(self, answer: Answer) -> None:
                self.close_connection = True
                for piece in [answer.body] if isinstance(answer.body, bytes) else answer.body:
                    self.wfile.write(piece)
                    self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    connections: frozenset[socket.socket] = frozenset()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections |= {request}
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        """End the connections that clients keep for their next request, too."""
        for connection in self.connections:
            with suppress(OSError):  # it has ended already
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up in the middle are what these tests are about."""


def a_delta(old: bytes, new: bytes) -> bytes:
    """`new` as a zstd frame whose dictionary is `old`."""
    dictionary = zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(dict_data=dictionary).compress(new)


def flipped(raw: bytes) -> bytes:
    """The same length, one bit in the middle changed."""
    changed = bytearray(raw)
    changed[len(raw) // 2] ^= 1
    return bytes(changed)


def endless(piece: bytes = b" " * 65536) -> Iterator[bytes]:
    """A body without an end."""
    while True:
        yield piece
