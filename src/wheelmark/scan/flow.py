"""What a report shows of the way of values: the steps from source to sink, and excerpts of decoded code."""

from __future__ import annotations

from collections.abc import Iterable

from wheelmark.scan.facts import Call, Layer
from wheelmark.scan.report import DecodedLayer, Step, StepKind
from wheelmark.scan.values import Origin, Taint

MAX_SOURCES = 5
MAX_TRANSFORMS = 10
MAX_STEP_TEXT = 200  # characters
MAX_LAYERS = 10
MAX_LAYER_TEXT = 2000  # characters
MAX_DECODERS = 10
MAX_SHOWN = 1200  # characters
_TRANSFORMS = (Taint.DECODED, Taint.DROPPED)


def flow_of(call: Call, origins: Iterable[Origin] | None = None) -> tuple[Step, ...]:
    """The way of the values that reach a call, or of those with these origins; empty when nothing is known of it."""
    found = sorted(call.origins if origins is None else set(origins))
    if not found:
        return ()
    sources = [origin for origin in found if origin.taint not in _TRANSFORMS]
    transforms = [origin for origin in found if origin.taint in _TRANSFORMS]
    transforms.sort(key=lambda origin: (origin.taint is Taint.DROPPED, origin.order, origin.line, origin.what))
    return (
        *(_step(StepKind.SOURCE, call, origin.what, origin.line) for origin in sources[:MAX_SOURCES]),
        *(_step(StepKind.TRANSFORM, call, origin.what, origin.line) for origin in transforms[:MAX_TRANSFORMS]),
        _step(StepKind.SINK, call, call.name, call.line),
    )


def _step(kind: StepKind, call: Call, what: str, line: int) -> Step:
    return Step(kind=kind, what=printable(what, MAX_STEP_TEXT), member=call.member, line=line)


def shown_layers(layers: Iterable[Layer]) -> tuple[DecodedLayer, ...]:
    """Excerpts of the decoded layers, those that run unasked and lie deepest first; each text once."""
    shown: dict[str, DecodedLayer] = {}
    for layer in sorted(layers, key=_interest):
        if not layer.decoded:
            continue
        text = visible(layer.text[: MAX_LAYER_TEXT * 2])[:MAX_LAYER_TEXT]
        if text.strip() and text not in shown:
            shown[text] = DecodedLayer(
                member=layer.member,
                line=layer.line,
                depth=layer.depth,
                decoders=tuple(printable(each, MAX_STEP_TEXT) for each in layer.decoders[:MAX_DECODERS]),
                text=text,
            )
        if len(shown) == MAX_LAYERS:
            break
    return tuple(shown.values())


def _interest(layer: Layer) -> tuple[bool, int, str, int, str]:
    return (not layer.context.automatic, -layer.depth, layer.member, layer.line, layer.text[:MAX_LAYER_TEXT])


def printable(text: str, limit: int = MAX_SHOWN) -> str:
    """Text that is safe to show on one line, at most `limit` characters: what is not seen becomes visible."""
    return visible(" ".join(text[: limit * 4].split()))[:limit]


def visible(text: str) -> str:
    """Text in which everything but line breaks and tabs that is not printable is written as an escape."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else f"\\u{ord(character):04x}"
        for character in text
    )
