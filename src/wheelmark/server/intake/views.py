"""The legacy upload API, as twine, uv, poetry, pdm, hatch and flit speak it.

Cheap checks come first: nothing of the body is read before the token is known, and nothing of the file before it is
known whose project it is. Every fault of one upload is reported at once.
"""

from __future__ import annotations

import structlog
from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from wheelmark.dist import Filename, Inspection, form_faults, inspect_distribution, normalize, parse_filename
from wheelmark.dist.faults import quoted
from wheelmark.errors import Fault, Refused, Unavailable
from wheelmark.server.accounts.events import client_address
from wheelmark.server.accounts.tokens import Identity, authenticate
from wheelmark.server.config import Config
from wheelmark.server.intake import answers
from wheelmark.server.intake.accept import Accepted, Upload, accept, kept_faults
from wheelmark.server.intake.admission import (
    Candidate,
    admission_faults,
    check_same_bytes,
    find_namesake,
    find_project,
    largest_file,
)
from wheelmark.server.intake.faults import fault
from wheelmark.server.intake.receiving import Received, ReceivedFile, receiving
from wheelmark.server.intake.rules import Form, digest_faults, first, form_shape_faults, kind_faults
from wheelmark.server.stores import current_store
from wheelmark.store import Conflict

MAX_FORM_BYTES = 20_000_000
"""Room for the form fields beside the file: a long description, many classifiers."""

NO_ATTESTATIONS = "The attestations were not kept: this index does not publish provenance yet."

log = structlog.get_logger(__name__)


@csrf_exempt  # The token is the proof; a browser never holds it, so there is no session to ride on.
def upload(request: HttpRequest) -> HttpResponse:
    """Receive one distribution."""
    config: Config = settings.CONFIG
    if request.method != "POST":
        return answers.not_here()
    decision = log
    try:
        identity = authenticate(
            request.headers.get("Authorization"), now=timezone.now(), address=client_address(request)
        )
        decision = decision.bind(token=identity.token_id)
        length = _check_request(request, identity, config)
        with receiving(request, config.data / "incoming", length=length) as received:
            if received.content is not None:
                decision = decision.bind(filename=quoted(received.content.filename), sha256=received.content.sha256)
            accepted = _take(received, request, identity, config)
            has_attestations = bool(first(received.form, "attestations"))
    except Refused as error:
        codes = [one.code for one in error.faults]
        decision.info("upload refused", codes=codes, status=answers.status_of(error).value)
        return answers.refusal(request, error)
    except (Unavailable, Conflict, OperationalError, InterfaceError, IntegrityError) as error:
        # A conflict in the store is an object that is not what its name says, an integrity error somebody who was
        # quicker: either way the sender did nothing wrong, and can only try again.
        decision.error("upload unavailable", error=str(error), kind=type(error).__name__)
        return answers.unavailable()
    decision.info("upload accepted", is_new=accepted.is_new)
    return answers.success(accepted, config, notes=[NO_ATTESTATIONS] if has_attestations else [])


def _check_request(request: HttpRequest, identity: Identity, config: Config) -> int:
    """What can be said before the body is read; returns the body's length in bytes."""
    if not config.uploads:
        raise Refused([fault("uploads-disabled", "expected no uploads: the index is read-only at the moment")])
    if request.content_type != "multipart/form-data":
        message = f"expected multipart/form-data, got {quoted(request.content_type or '')}"
        raise Refused([fault("form-encoding", message)])
    stated = request.META.get("CONTENT_LENGTH") or ""
    if not (stated.isascii() and stated.isdecimal()):
        raise Refused(
            [fault("form-length", f"expected the body's length in bytes, got {quoted(stated) if stated else 'none'}")]
        )
    length = int(stated)
    if length > config.max_file + MAX_FORM_BYTES:
        limit = largest_file(identity, config)
        if length > limit + MAX_FORM_BYTES:
            raise Refused([fault("file-too-large", f"expected a file of at most {limit:,} bytes, got {length:,}")])
    return length


def _take(received: Received, request: HttpRequest, identity: Identity, config: Config) -> Accepted:
    """Check a received form and take its file in."""
    form, content = received.form, received.content
    faults = form_shape_faults(form, content_parts=received.content_parts)
    if content is None:
        raise Refused(faults)
    candidate = _candidate(content, form)
    if candidate is not None:
        faults += kind_faults(form, candidate.filename.kind)
        namesake = find_namesake(candidate, identity)
        if namesake is not None:
            # Before the bytes are compared with those that are there: a broken transfer is no other file.
            faults += digest_faults(form, content.digests())
            if faults:
                raise Refused(faults)
            check_same_bytes(namesake, candidate)
            return Accepted(namesake, is_new=False)
        faults += admission_faults(candidate, find_project(candidate), identity, config=config, now=timezone.now())
    inspection = _inspect(content, form, faults)
    wanted = Upload(
        path=content.path,
        inspection=inspection,
        identity=identity,
        user_agent="".join(char for char in request.headers.get("User-Agent", "") if char.isprintable()),
    )
    return accept(wanted, config=config, store=current_store(), now=timezone.now())


def _candidate(content: ReceivedFile, form: Form) -> Candidate | None:
    """What the file says it is by its name; None when its name says nothing, which the inspection will tell."""
    filename = _parsed(content.filename)
    if filename is None:
        return None
    return Candidate(filename=filename, name=_spelled(form, filename), size=content.size, sha256=content.sha256)


def _parsed(text: str) -> Filename | None:
    try:
        return parse_filename(text)
    except Refused:
        return None


def _spelled(form: Form, filename: Filename) -> str:
    """The project's name as the form spells it, if it is the project of the file's name."""
    claimed = first(form, "name") or ""
    try:
        return claimed if normalize(claimed) == filename.name else filename.name
    except Refused:
        return filename.name


def _inspect(content: ReceivedFile, form: Form, faults: list[Fault]) -> Inspection:
    """Read the file, and compare the form with it.

    Raises:
        Refused: with all faults that were known before and all that were found now.
        Unavailable: our own disk does not give back what was received: nothing that the sender did.
    """
    try:
        inspection = inspect_distribution(content.path, content.filename)
    except Refused as error:
        raise Refused([*faults, *digest_faults(form, content.digests()), *error.faults]) from error
    except OSError as error:
        raise Unavailable(f"the received file cannot be read: {error.strerror}", code="incoming-disk") from error
    if inspection.sha256 != content.sha256:
        raise Unavailable("the received file changed on disk", code="incoming-changed")
    computed = {"sha256": inspection.sha256, "blake2b_256": inspection.blake2b_256, "md5": inspection.md5}
    found = [*faults, *digest_faults(form, computed), *kept_faults(inspection), *form_faults(inspection.metadata, form)]
    if found:
        raise Refused(found)
    return inspection
