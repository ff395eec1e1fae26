"""What an index wants of core metadata beyond its form.

Source: PEP 440 § Local version identifiers; PEP 508; PEP 639; PEP 753; the trove classifiers.
"""

from __future__ import annotations

import email.utils
import re
from urllib.parse import urlsplit

from trove_classifiers import classifiers as known_classifiers
from trove_classifiers import deprecated_classifiers

from wheelmark.dist.faults import FaultLog, quoted
from wheelmark.dist.metadata import CoreMetadata
from wheelmark.errors import Fault

MAX_SUMMARY_CHARS = 512
MAX_URL_LABEL_CHARS = 32
MAX_URL_CHARS = 2048
MAX_EMAIL_CHARS = 320

_EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"]+@[^\s@<>()\[\],;:\\\"]+")


def metadata_faults(metadata: CoreMetadata) -> list[Fault]:
    """Every rule of the index that well-formed metadata breaks.

    License classifiers beside a license expression are deprecated, but too many current projects have both to refuse
    them. Two spellings of one extra are not refused either: setuptools writes both.
    """
    log = FaultLog()
    if metadata.version.local is not None:
        log.add("metadata-local-version", f"expected a public version, got {quoted(str(metadata.version))}")
    if metadata.summary is not None and len(metadata.summary) > MAX_SUMMARY_CHARS:
        log.add("metadata-summary", f"expected at most {MAX_SUMMARY_CHARS} characters, got {len(metadata.summary)}")
    if metadata.license_files_are_defined and metadata.license and metadata.license_expression:
        log.add(
            "metadata-license-twice", f"expected no License beside License-Expression, got {quoted(metadata.license)}"
        )
    _check_classifiers(metadata, log)
    _check_urls(metadata, log)
    _check_emails(metadata, log)
    _check_dependencies(metadata, log)
    return log.found()


def is_web_url(text: str) -> bool:
    """Whether text is an absolute http or https URL that can stand in a link."""
    if len(text) > MAX_URL_CHARS or any(char.isspace() or not char.isprintable() for char in text):
        return False
    try:
        parts = urlsplit(text)
        # `port` raises when it is no number.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_classifiers(metadata: CoreMetadata, log: FaultLog) -> None:
    for classifier in metadata.classifiers:
        if classifier in deprecated_classifiers:
            instead = ", ".join(deprecated_classifiers[classifier]) or "none"
            log.add(
                "metadata-classifier-deprecated",
                f"expected a current classifier (instead: {instead}), got {quoted(classifier)}",
            )
        elif classifier not in known_classifiers:
            log.add("metadata-classifier-unknown", f"expected a known classifier, got {quoted(classifier)}")


def _check_urls(metadata: CoreMetadata, log: FaultLog) -> None:
    for name, url in (("home-page", metadata.home_page), ("download-url", metadata.download_url)):
        if url and not is_web_url(url):
            log.add("metadata-url", f"expected an http or https URL, got {quoted(url)}", field=name)
    for label, url in metadata.project_urls:
        if not label or len(label) > MAX_URL_LABEL_CHARS:
            log.add(
                "metadata-url-label", f"expected a label of 1 to {MAX_URL_LABEL_CHARS} characters, got {quoted(label)}"
            )
        if not is_web_url(url):
            log.add("metadata-url", f"expected an http or https URL for {quoted(label)}, got {quoted(url)}")


def _check_emails(metadata: CoreMetadata, log: FaultLog) -> None:
    for name, text in (("author-email", metadata.author_email), ("maintainer-email", metadata.maintainer_email)):
        for _, address in email.utils.getaddresses([text]) if text else ():
            if len(address) > MAX_EMAIL_CHARS or not _EMAIL.fullmatch(address):
                log.add("metadata-email", f"expected e-mail addresses, got {quoted(text or '')}", field=name)
                break


def _check_dependencies(metadata: CoreMetadata, log: FaultLog) -> None:
    for requirement in metadata.requires_dist:
        if requirement.url is not None:
            log.add(
                "metadata-direct-url",
                f"expected a requirement that an index can answer, got {quoted(str(requirement))}",
            )
    for name, values in (("provides-dist", metadata.provides_dist), ("obsoletes-dist", metadata.obsoletes_dist)):
        for value in values:
            if "@" in value:
                log.add("metadata-direct-url", f"expected a name without a URL, got {quoted(value)}", field=name)
