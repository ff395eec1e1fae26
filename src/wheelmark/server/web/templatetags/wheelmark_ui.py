"""Template tags: dates, sizes, numbers and states, said the same way everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from wheelmark.server.web import wording

register = template.Library()


@register.simple_tag(takes_context=True)
def ago(context: template.Context, at: datetime) -> SafeString:
    """A relative date whose title is the exact time in UTC. The page's `now`, if it has one, is the clock."""
    now = context.get("now") or timezone.now()
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(timespec="seconds"),
        wording.exact(at),
        wording.relative(at, now=now),
    )


@register.filter
def filesize(size_bytes: int) -> str:
    """A size in kB or MB."""
    return wording.size(size_bytes)


@register.filter
def grouped(number: int) -> str:
    """A number with its thousands grouped."""
    return wording.grouped(number)


@register.filter
def visible(text: object) -> SafeString:
    """Text of others, escaped, in which hidden and direction-changing characters are spelled out."""
    return drawn(wording.reveal(str(text)))


@register.filter
def drawn(runs: Iterable[wording.Run]) -> SafeString:
    """Runs of text, escaped; those that stand for something hidden are marked."""
    return format_html_join(
        "",
        "{}",
        (
            (format_html('<span class="hidden-character">{}</span>', run.text) if run.hidden else run.text,)
            for run in runs
        ),
    )


@register.filter
def severity_kind(severity: str) -> str:
    """The colour's name of a finding's severity."""
    return wording.SEVERITY_KINDS.get(severity, "warn")


@register.filter
def verdict_kind(verdict: str) -> str:
    """The colour's name of a verdict; an unknown one is treated as a warning."""
    return wording.VERDICT_KINDS.get(verdict, "warn")


@register.filter
def context_kind(level: str) -> str:
    """The colour's name of what the context amounts to."""
    return wording.CONTEXT_KINDS.get(level, "warn")


@register.filter
def context_words(level: str) -> str:
    """What a level of the context means, in a sentence."""
    return wording.CONTEXT_WORDS.get(level, "")


@register.filter
def message_kind(level: str) -> str:
    """The colour's name of one of Django's message levels."""
    return wording.MESSAGE_KINDS.get(level, "plain")


@register.filter
def action_words(action: str) -> str:
    """A journal action in words."""
    return wording.action_words(action)
