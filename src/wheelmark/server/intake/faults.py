"""The reference table of the rules that an upload can break beyond those about the file itself.

The rules about the file (name, archive, metadata) are in `wheelmark.dist.RULES`, those about tokens and permissions in
`accounts`. A code, once published, is never reused for another rule.
"""

from __future__ import annotations

from wheelmark.dist import Rule
from wheelmark.errors import Fault

_API = "Legacy upload API"

_TABLE = (
    Rule("uploads-disabled", "index", "The index takes uploads.", "Wheelmark setting `uploads`"),
    # The request
    Rule("form-encoding", "Content-Type", "An upload is a form of type `multipart/form-data`.", _API),
    Rule("form-length", "Content-Length", "A request says how long it is.", "RFC 9110 § 8.6"),
    Rule("form-broken", "form", "The form arrives whole and can be parsed.", "RFC 7578"),
    Rule("form-too-large", "form", "The fields beside the file are bounded, in bytes.", "Wheelmark bounds"),
    Rule("form-too-many-parts", "form", "The fields and the files of the form are bounded.", "Wheelmark bounds"),
    Rule("form-action", ":action", "`:action` is `file_upload`.", _API),
    Rule("form-protocol", "protocol_version", "`protocol_version` is 1.", _API),
    Rule("form-filetype", "filetype", "`filetype` is what the file's name says.", _API),
    Rule("form-pyversion", "pyversion", "`pyversion` is given for a wheel, and is `source` for an sdist.", _API),
    Rule("form-digest", "sha256_digest", "At least one digest of the file is given.", _API),
    Rule("form-field-twice", "form", "A field that can have one value is given once.", "Wheelmark"),
    Rule("form-content", "content", "The distribution is the one part `content`, as a file.", _API),
    Rule("digest-mismatch", "sha256_digest", "Each digest that is given is that of the file which arrived.", _API),
    # The project and the release
    Rule("file-too-large", "content", "A file is at most as large as index and project allow.", "Wheelmark setting"),
    Rule("project-too-large", "content", "The files of a project are bounded together.", "Wheelmark setting"),
    Rule("file-already-exists", "content", "A file's name is used once, for ever.", "Wheelmark"),
    Rule("second-sdist", "content", "A release has one source distribution.", "Wheelmark"),
    Rule(
        "release-closed", "version", "A release takes files for some days after its first.", "Wheelmark `release_days`"
    ),
    Rule("release-yanked", "version", "A yanked release takes no new files.", "Wheelmark"),
    Rule("new-projects-disabled", "name", "The index takes new projects.", "Wheelmark setting `new_projects`"),
    Rule("name-lookalike", "name", "A new project's name does not read like another's.", "Wheelmark"),
    Rule("too-many-projects", "name", "A user creates a bounded number of projects in an hour.", "Wheelmark bounds"),
    Rule("metadata-too-long", "metadata", "The values that the index keeps are bounded.", "Wheelmark bounds"),
    Rule("metadata-nul", "metadata", "The values that the index keeps hold no NUL character.", "Wheelmark"),
)

RULES: dict[str, Rule] = {rule.code: rule for rule in _TABLE}


def fault(code: str, message: str, *, field: str | None = None) -> Fault:
    """The fault for a rule of the table, in the rule's own field unless another is named."""
    return Fault(code, RULES[code].field if field is None else field, message)
