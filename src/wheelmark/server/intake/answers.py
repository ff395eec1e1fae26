"""What an upload is answered: plain text, one line a fault, which is what the clients print; or JSON if asked for."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse

from wheelmark.errors import Refused
from wheelmark.server.config import Config
from wheelmark.server.intake.accept import Accepted
from wheelmark.server.intake.admission import AlreadyExists

_STATUS = {
    "token-missing": HTTPStatus.UNAUTHORIZED,
    "not-allowed": HTTPStatus.FORBIDDEN,
    "second-factor-needed": HTTPStatus.FORBIDDEN,
    "email-unverified": HTTPStatus.FORBIDDEN,
    "uploads-disabled": HTTPStatus.FORBIDDEN,
    "form-length": HTTPStatus.LENGTH_REQUIRED,
    "form-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "file-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "project-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too-many-projects": HTTPStatus.TOO_MANY_REQUESTS,
}
_RETRY_AFTER_SECONDS = {HTTPStatus.SERVICE_UNAVAILABLE: "5", HTTPStatus.TOO_MANY_REQUESTS: "600"}
_MAX_REASON_CHARS = 200
_PLAIN = "text/plain; charset=utf-8"


def not_here() -> HttpResponse:
    """For those who come with a browser."""
    text = "This is where twine and uv upload to. To read the index, use /simple/.\n"
    return HttpResponse(text, content_type=_PLAIN, status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})


def success(accepted: Accepted, config: Config, *, notes: list[str]) -> HttpResponse:
    """The file is in, or was already. `notes`: what the sender should know besides."""
    file = accepted.file
    state = "accepted; it is inspected now and published when nothing speaks against it"
    if not accepted.is_new:
        state = f"is already here, and {file.state}"
    address = f"{config.base_url}/project/{file.release.project.normalized_name}/"
    lines = [f"{file.filename} {state}. See {address}", *notes]
    return HttpResponse("\n".join(lines) + "\n", content_type=_PLAIN)


def unavailable() -> HttpResponse:
    """Something of ours is away."""
    response = HttpResponse(
        "The index cannot take uploads at the moment; nothing was lost, try again.\n",
        content_type=_PLAIN,
        status=HTTPStatus.SERVICE_UNAVAILABLE,
    )
    return _with_retry(response)


def refusal(request: HttpRequest, error: Refused) -> HttpResponse:
    """Every fault."""
    status = status_of(error)
    if "application/json" in request.headers.get("Accept", ""):
        listed = [{"code": fault.code, "field": fault.field, "message": fault.message} for fault in error.faults]
        response: HttpResponse = JsonResponse({"message": str(error), "errors": listed}, status=status)
    else:
        lines = "\n".join(str(fault) for fault in error.faults)
        response = HttpResponse(f"{lines}\n", content_type=_PLAIN, status=status)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Basic realm="wheelmark: user __token__, an API token as password"'
    # twine prints the reason phrase, and the body only with --verbose. Granian, which `wheelmark serve` runs, sends
    # the standard phrase whatever is said here; other servers send this one.
    printable = "".join(char if char.isascii() and char.isprintable() else "?" for char in " ".join(str(error).split()))
    response.reason_phrase = printable[:_MAX_REASON_CHARS]
    return _with_retry(response)


def status_of(error: Refused) -> HTTPStatus:
    """The status that all faults have in common; 400 when they have none."""
    if isinstance(error, AlreadyExists):
        return HTTPStatus.CONFLICT
    statuses = {_status_of_code(fault.code) for fault in error.faults}
    return statuses.pop() if len(statuses) == 1 else HTTPStatus.BAD_REQUEST


def _status_of_code(code: str) -> HTTPStatus:
    return _STATUS.get(code, HTTPStatus.FORBIDDEN if code.startswith("token-") else HTTPStatus.BAD_REQUEST)


def _with_retry(response: HttpResponse) -> HttpResponse:
    seconds = _RETRY_AFTER_SECONDS.get(HTTPStatus(response.status_code))
    if seconds is not None:
        response["Retry-After"] = seconds
    return response
