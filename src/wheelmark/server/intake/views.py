"""The legacy upload API, as twine, uv, poetry, pdm, hatch and flit speak it.

Cheap checks come first, and nothing of the body is read before the token is known. Every fault of one upload is
reported at once: in one line a fault of plain text, which is what the clients print, or as JSON for those that ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from wheelmark.dist import Inspection, form_faults, inspect_distribution
from wheelmark.errors import Fault, Refused, Unavailable
from wheelmark.server.accounts.tokens import Identity, authenticate
from wheelmark.server.config import Config
from wheelmark.server.intake.accept import Accepted, AlreadyExists, Upload, accept
from wheelmark.server.intake.handlers import HashingUploadHandler, digests_of
from wheelmark.server.intake.rules import digest_faults, form_shape_faults
from wheelmark.server.stores import current_store

MAX_FORM_BYTES = 20_000_000
"""Room for the form fields beside the file: a long description, many classifiers."""

_STATUS = {
    "token-missing": 401,
    "not-allowed": 403,
    "second-factor-needed": 403,
    "email-unverified": 403,
    "uploads-disabled": 403,
    "file-too-large": 413,
    "project-too-large": 413,
}
_RETRY_AFTER_SECONDS = "5"

log = structlog.get_logger(__name__)


@csrf_exempt  # The token is the proof; a browser never holds it, so there is no session to ride on.
def upload(request: HttpRequest) -> HttpResponse:
    """Receive one distribution."""
    config: Config = settings.CONFIG
    if request.method != "POST":
        response = HttpResponse(
            "This is where twine and uv upload to. To read the index, use /simple/.\n",
            content_type="text/plain; charset=utf-8",
            status=405,
        )
        response["Allow"] = "POST"
        return response
    try:
        identity = authenticate(request.headers.get("Authorization"), now=timezone.now())
        _check_request(request, config)
        accepted = _receive(request, identity, config)
    except AlreadyExists as error:
        return _refusal(request, error, status=409)
    except Refused as error:
        return _refusal(request, error, status=_status_of(error))
    except (Unavailable, OperationalError) as error:
        log.error("upload unavailable", error=str(error))
        response = HttpResponse(
            "The index cannot take uploads at the moment; nothing was lost, try again.\n",
            content_type="text/plain; charset=utf-8",
            status=503,
        )
        response["Retry-After"] = _RETRY_AFTER_SECONDS
        return response
    return _success(accepted, config)


def _check_request(request: HttpRequest, config: Config) -> None:
    """What can be said before the body is read."""
    if not config.uploads:
        raise Refused.because("uploads-disabled", "index", "expected no uploads: the index is read-only at the moment")
    if request.content_type != "multipart/form-data":
        raise Refused.because(
            "form-encoding", "Content-Type", f"expected multipart/form-data, got {(request.content_type or '')[:100]!r}"
        )
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if length > config.max_file + MAX_FORM_BYTES:
        raise Refused.because(
            "file-too-large", "content", f"expected a file of at most {config.max_file:,} bytes, got {length:,}"
        )


def _receive(request: HttpRequest, identity: Identity, config: Config) -> Accepted:
    request.upload_handlers = [HashingUploadHandler(request)]
    try:
        form = dict(request.POST.lists())
        file = request.FILES.get("content")
    except RequestDataTooBig as error:
        raise Refused.because("form-too-large", "form", f"expected smaller form fields: {error}") from error
    except (MultiPartParserError, SuspiciousOperation, BadRequest, UnicodeDecodeError, OSError) as error:
        raise _broken_form(error) from error
    first = {key: values[0] for key, values in form.items()}
    faults = form_shape_faults(first, has_content=file is not None)
    if not isinstance(file, TemporaryUploadedFile):
        raise Refused(faults)
    digests = digests_of(file)
    faults += digest_faults(first, digests)
    path = Path(file.temporary_file_path())
    inspection = _inspect(path, file.name or "", form, faults, config)
    if inspection.sha256 != digests["sha256"]:
        # The file changed on our own disk between receiving and reading it: nothing that the sender did.
        raise Unavailable("the received file changed on disk", code="incoming-changed")
    user_agent = request.headers.get("User-Agent", "")
    wanted = Upload(path=path, inspection=inspection, identity=identity, user_agent=user_agent)
    return accept(wanted, config=config, store=current_store(), now=timezone.now())


def _broken_form(error: Exception) -> Refused | Unavailable:
    """A multipart body that cannot be parsed is the sender's; a disk that takes no more is ours."""
    if isinstance(error, OSError) and error.errno is not None:
        return Unavailable(f"cannot receive the file: {error}", code="incoming-disk")
    return Refused.because("form-broken", "form", f"expected a whole multipart form, got: {error}")


def _inspect(
    path: Path, filename: str, form: Mapping[str, list[str]], faults: list[Fault], config: Config
) -> Inspection:
    """Read the file, and compare the form with it. Raises `Refused` with these faults and all that were known."""
    try:
        inspection = inspect_distribution(path, filename)
    except Refused as error:
        raise Refused([*faults, *error.faults]) from error
    kind = (form.get("filetype") or [""])[0]
    if kind and kind != inspection.filename.kind:
        faults.append(Fault("form-filetype", "filetype", f"expected {inspection.filename.kind!r}, got {kind!r}"))
    faults += form_faults(inspection.metadata, form)
    if faults:
        raise Refused(faults)
    return inspection


def _status_of(error: Refused) -> int:
    return _STATUS.get(error.code, 403 if error.code.startswith("token-") else 400)


def _refusal(request: HttpRequest, error: Refused, *, status: int) -> HttpResponse:
    log.info("upload refused", codes=[fault.code for fault in error.faults], status=status)
    if "application/json" in request.headers.get("Accept", ""):
        listed = [{"code": fault.code, "field": fault.field, "message": fault.message} for fault in error.faults]
        response: HttpResponse = JsonResponse({"message": str(error), "errors": listed}, status=status)
    else:
        lines = "\n".join(str(fault) for fault in error.faults)
        response = HttpResponse(f"{lines}\n", content_type="text/plain; charset=utf-8", status=status)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Basic realm="wheelmark: user __token__, an API token as password"'
    # twine prints the reason phrase and not always the body.
    response.reason_phrase = " ".join(str(error).split()).encode("ascii", "replace").decode()[:200]
    return response


def _success(accepted: Accepted, config: Config) -> HttpResponse:
    file = accepted.file
    log.info("upload accepted", filename=file.filename, sha256=file.sha256, is_new=accepted.is_new)
    state = "accepted; it is inspected now and published when nothing speaks against it"
    if not accepted.is_new:
        state = f"is already here, and {file.state}"
    address = f"{config.base_url}/project/{file.release.project.normalized_name}/"
    return HttpResponse(f"{file.filename} {state}. See {address}\n", content_type="text/plain; charset=utf-8")
