"""Features in words: one clause for each, that a moderator can read without knowing the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wheelmark.scan.facts import Act
from wheelmark.scan.report import Severity
from wheelmark.scan.rule import Rule
from wheelmark.scan.signals import signal_words
from wheelmark.scan.values import Taint

_WHEN = {
    "install": "while it is installed or Python starts",
    "import": "as soon as it is imported",
    "asked": "when it is called",
    "decoded": "in what its decoders give",
    "self": "by itself, unasked",
}
_WHERE = {
    "install": "in what runs while it is installed or Python starts",
    "import": "in what can be imported",
    "asked": "in what has to be called",
    "decoded": "in what its decoders give",
}
_TAINTS = {
    Taint.NETWORK: "what came from the network",
    Taint.DECODED: "what came out of a decoder",
    Taint.SECRET: "secrets or the environment",
    Taint.HOST: "who and where the machine is",
    Taint.FILE: "the contents of a file",
    Taint.CAPTURE: "what somebody typed, copied, saw or said",
    Taint.KEY: "an argument that is called like a private key or a seed phrase",
    Taint.OUTPUT: "what a command prints",
    Taint.DROPPED: "a file that it wrote from elsewhere",
}
_GETS = {
    Act.RUN_CODE: "is executed as code",
    Act.LOAD_CODE: "is loaded as compiled code or objects",
    Act.START_PROCESS: "goes into a process that is started",
    Act.SEND: "is sent over the network",
    Act.DOWNLOAD: "is part of a download",
    Act.CONNECT: "is part of a connection",
    Act.REDIRECT: "is part of a redirection",
    Act.WRITE: "is written to a file",
    Act.READ: "says what file is read",
    Act.NATIVE: "goes into native code",
    Act.REGISTER: "goes into the registry",
    Act.DELETE: "says what is deleted",
    Act.INSTALL: "is installed",
    Act.COPY: "goes to the clipboard",
}
_TEXTS = {
    "line": "a line is very long",
    "literal": "a long literal has no more order than encoded bytes",
    "escapes": "many characters are written as escapes",
    "numbers": "a long list of numbers stands where text could",
    "odd-names": "{value} per cent of its names are no words",
    "at-once": "{value} of its statements act outside of any function",
    "silenced": "it keeps its errors to itself",
    "semicolons": "several statements stand on one line",
    "foreign": "it has letters beyond ASCII",
    "imports": "it imports {value} of the modules that malware needs",
}
_STYLES = {
    "comments": "comments",
    "docstrings": "docstrings",
    "functions": "functions",
    "classes": "classes",
    "hints": "type hints",
    "relative-imports": "relative imports",
    "raises": "raise statements",
    "returns": "return statements",
    "self": "uses of attributes",
    "exports": "exports or loggers",
    "lines": "lines",
}
_ODDITIES = {
    "far-right": "code stands far to the right, out of sight",
    "bidi": "characters turn the direction of the text",
    "styled-name": "a name is spelled with styled letters",
    "invisible-text": "invisible characters stand in a row",
    "build-requirement": "its build installs something from outside of any index",
    "command-name": "it installs a command under the name of another that everybody knows",
    "odd-encoding": "its encoding makes other code of what its bytes look like",
}
_ABOUT = {
    "no-address": "it names no page of the project",
    "no-author": "it names no author",
    "no-summary": "it has no summary",
    "no-description": "it hardly describes itself",
    "no-classifiers": "it has no classifiers",
    "no-license": "it names no licence",
    "no-readme": "it has no readme",
    "odd-version": "its version outbids others",
    "modules": "how many modules it has",
}


def describe(name: str, value: int, rules: Mapping[str, Rule]) -> str:
    """What a feature of this value says. A feature that this version does not know is told by its name."""
    kind, *rest = name.split("/")
    told = _KINDS.get(kind)
    try:
        return name if told is None else told(rest, value, rules)
    except (KeyError, ValueError, IndexError):
        return name


def _rule(rest: list[str], value: int, rules: Mapping[str, Rule]) -> str:
    said = rules[rest[0]].message.rstrip(".") if rest[0] in rules else rest[0]
    return f"{said} ({rest[0]}, {list(Severity)[value - 1]})"


def _act(rest: list[str], value: int, rules: Mapping[str, Rule]) -> str:
    return f"the code does this {_WHEN[rest[1]]}: {rest[0]}"


def _hidden(rest: list[str], value: int, rules: Mapping[str, Rule]) -> str:
    return f"under a name put together at run time it does this {_WHEN[rest[1]]}: {rest[0]}"


def _flow(rest: list[str], value: int, rules: Mapping[str, Rule]) -> str:
    return f"{_TAINTS[Taint(rest[0])]} {_GETS[Act(rest[1])]} {_WHEN[rest[2]]}"


def _signal(rest: list[str], value: int, rules: Mapping[str, Rule]) -> str:
    return f"{signal_words()[rest[0]]} {_WHERE[rest[1]]}"


def _text(rest: list[str], value: int, rules: Mapping[str, Rule]) -> str:
    return _TEXTS[rest[0]].format(value=value)


def _style(rest: list[str], value: int, rules: Mapping[str, Rule]) -> str:
    return f"how many {_STYLES[rest[0]]} the module has (about {2 ** (value - 1)})"


def _oddity(rest: list[str], value: int, rules: Mapping[str, Rule]) -> str:
    return f"{_ODDITIES[rest[0]]} {_WHERE[rest[1]]}"


def _counted(words: str) -> Callable[[list[str], int, Mapping[str, Rule]], str]:
    return lambda rest, value, rules: f"{words.format(value=value)} {_WHERE[rest[0]]}"


_KINDS: dict[str, Callable[[list[str], int, Mapping[str, Rule]], str]] = {
    "rule": _rule,
    "rules": lambda rest, value, rules: f"{value} rules find something grave in it",
    "act": _act,
    "hidden": _hidden,
    "flow": _flow,
    "signal": _signal,
    "text": _text,
    "oddity": _oddity,
    "about": lambda rest, value, rules: _ABOUT[rest[0]],
    "import": lambda rest, value, rules: f"it imports {rest[0]} while it is installed",
    "style": _style,
    "runs": lambda rest, value, rules: f"the module runs {_WHEN[rest[0]]}",
    "layer": _counted("{value} layers of executed text have code that acts"),
    "decoded": _counted("{value} layers come out of decoders and are executed"),
    "together": _counted("the module does {value} kinds of things that matter"),
    "signals": _counted("the module has {value} kinds of words that malware has"),
}
