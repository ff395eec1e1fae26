"""Text that is written so that nobody finds it: backwards, letter by letter, or broken inside a word."""

from __future__ import annotations

MIN_HIDDEN = 8  # characters of text that is taken to be hidden when it is reversed or spelled


def is_reversal(constant: object, index: object) -> bool:
    """True for `text[::-1]` of text long enough to be written backwards on purpose."""
    is_text = isinstance(constant, (str, bytes)) and len(constant) >= MIN_HIDDEN
    return is_text and isinstance(index, slice) and isinstance(index.step, int) and index.step < 0


def is_spelled(separator: object, parts: object) -> bool:
    """True for text that is put together from single characters."""
    if separator not in ("", b"") or not isinstance(parts, (list, tuple)) or len(parts) < MIN_HIDDEN:
        return False
    return all(isinstance(part, (str, bytes)) and len(part) == 1 for part in parts)


def splits_scheme(left: object, whole: object) -> bool:
    """True for `"ht" + "tps://…"`: nobody breaks the word but to keep it from being found."""
    return left in ("h", "ht", "htt") and isinstance(whole, str) and whole.startswith("http")
