"""The Simple API: project pages as values, JSON and HTML rendering, parsing, negotiation. Pure."""

from __future__ import annotations

from wheelmark.simple.model import API_VERSION, ProjectList, ProjectPage, SimpleFile, Status, file_url
from wheelmark.simple.negotiation import MediaType, negotiate
from wheelmark.simple.parse import parse_page_json
from wheelmark.simple.render import render_list_html, render_list_json, render_page_html, render_page_json
from wheelmark.simple.rules import MAX_FILE_BYTES, MAX_PAGE_BYTES, page_faults

__all__ = [
    "API_VERSION",
    "MAX_FILE_BYTES",
    "MAX_PAGE_BYTES",
    "MediaType",
    "ProjectList",
    "ProjectPage",
    "SimpleFile",
    "Status",
    "file_url",
    "negotiate",
    "page_faults",
    "parse_page_json",
    "render_list_html",
    "render_list_json",
    "render_page_html",
    "render_page_json",
]
