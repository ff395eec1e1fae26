"""What is run of a distribution, and what its observations amount to."""

from __future__ import annotations

import pytest

from support.scan import the_ruleset
from wheelmark.scan import Context, Report, Severity, Verdict
from wheelmark.scan.dynamic.join import joined
from wheelmark.scan.dynamic.judgement import MEANINGS, findings_of
from wheelmark.scan.dynamic.look import Look
from wheelmark.scan.dynamic.observation import Kind, Observation
from wheelmark.scan.dynamic.phases import Phases, missing_module, phases_of, with_standins
from wheelmark.scan.report import DynamicPart

WHEEL, SDIST = "widget-1-py3-none-any.whl", "widget-1.tar.gz"
PART = DynamicPart(python="3.11.7", phases=(Context.IMPORT,), notes=("links are not laid out in the sandbox",))


def phases(filename: str, *paths: str, max_modules: int = 16, **texts: str) -> Phases:
    files = dict.fromkeys(paths, b"") | {path.replace("__", "."): text.encode() for path, text in texts.items()}
    if filename == SDIST:
        files = {f"widget-1/{path}": raw for path, raw in files.items()}
    return phases_of(filename, files, {"GITHUB_TOKEN": "decoy"}, site_packages="/site", max_modules=max_modules)


def steps(found: Phases) -> list[tuple[Context, str, str]]:
    return [(phase.context, step.what, step.member) for phase in found.phases for step in phase.steps]


def test_wheel_is_imported_module_by_module() -> None:
    found = phases(WHEEL, "widget/__init__.py", "widget/part.py", "other.py", "_fast.cpython-311-x86_64-linux-gnu.so")
    assert steps(found) == [
        (Context.IMPORT, "import _fast", "_fast.cpython-311-x86_64-linux-gnu.so"),
        (Context.IMPORT, "import other", "other.py"),
        (Context.IMPORT, "import widget", "widget/__init__.py"),
    ]


@pytest.mark.parametrize("path", ["widget.pth", "sitecustomize.py", "widget-1.data/purelib/widget.pth"])
def test_wheel_that_runs_at_startup_is_started_first(path: str) -> None:
    assert steps(phases(WHEEL, "widget/__init__.py", path))[0] == (Context.STARTUP, "start of Python", path)


def test_namespace_package_is_imported_from_below() -> None:
    assert [what for _, what, _ in steps(phases(WHEEL, "space/widget/__init__.py", "space/widget/part.py"))] == [
        "import space.widget"
    ]


def test_sdist_is_built_and_then_imported() -> None:
    assert steps(phases(SDIST, "setup.py", "src/widget/__init__.py", "tests/test_widget.py")) == [
        (Context.INSTALL, "setup.py egg_info", "widget-1/setup.py"),
        (Context.INSTALL, "setup.py install", "widget-1/setup.py"),
        (Context.IMPORT, "import widget", "widget-1/src/widget/__init__.py"),
    ]


def test_every_step_has_the_decoys_and_nothing_of_ours() -> None:
    found = phases(SDIST, "setup.py", "widget.py")
    for phase in found.phases:
        for step in phase.steps:
            assert step.environment["GITHUB_TOKEN"] == "decoy"
            assert step.environment["HOME"] == "/home/dev"
            assert not [name for name in step.environment if name.startswith("WHEELMARK")]


def test_backend_that_is_not_there_is_a_note() -> None:
    found = phases(SDIST, "widget.py", pyproject__toml='[build-system]\nbuild-backend = "flit_core.buildapi"\n')
    assert found.notes == ("the build backend flit_core.buildapi is not in the sandbox: the build was not run",)
    assert [context for context, _, _ in steps(found)] == [Context.IMPORT]


@pytest.mark.parametrize("text", ["[[[", "build-system = 1", "[build-system]\nbuild-backend = 1", "\x00"])
def test_broken_pyproject_is_built_by_the_default(text: str) -> None:
    assert [what for _, what, _ in steps(phases(SDIST, "setup.py", pyproject__toml=text))] == [
        "setup.py egg_info",
        "setup.py install",
    ]


def test_more_modules_than_are_imported_is_a_gap() -> None:
    found = phases(WHEEL, "a.py", "b.py", "c.py", max_modules=2)
    assert len(found.phases[0].steps) == 2
    assert found.gaps == ("expected at most 2 top-level modules to import, got 3",)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("ModuleNotFoundError: No module named 'requests'", "requests"),
        ("ModuleNotFoundError: No module named 'google.cloud'", "google"),
        ("ModuleNotFoundError: No module named 'widget.part'", ""),
        ("ModuleNotFoundError: No module named 'a\\'] + [b'", ""),
        ("ModuleNotFoundError: No module named ''", ""),
        ("OSError: x", ""),
    ],
)
def test_missing_module_is_one_that_is_not_of_the_distribution(line: str, name: str) -> None:
    assert missing_module(line, {"widget"}) == name


def test_stand_ins_come_before_the_same_program() -> None:
    [phase] = phases(WHEEL, "widget.py").phases
    [step] = with_standins(phase, {"b", "a"}).steps
    assert step.argv[2].endswith(phase.steps[0].argv[2])
    assert "'NAMES': ['a', 'b']" in step.argv[2].replace('"', "'")
    assert step.argv[3:] == ("widget",)
    assert step.what == "import widget with stand-ins for a, b"


def observed(kind: Kind, context: Context = Context.IMPORT, what: str = "it") -> Observation:
    return Observation(kind=kind, context=context, member="widget.py", step="import widget", what=what)


def report(verdict: Verdict = Verdict.BENIGN, score: float = 0.0, reason: str | None = None) -> Report:
    return Report(
        file=WHEEL,
        sha256="00" * 32,
        verdict=verdict,
        score=score,
        findings=(),
        elapsed_ms=1.0,
        ruleset="1",
        incomplete_reason=reason,
    )


def after(before: Report, *observations: Observation, gaps: tuple[str, ...] = ()) -> Report:
    return joined(before, Look(findings_of(observations, 100), gaps, PART), the_ruleset().model)


def test_every_kind_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Kind)
    assert all(meaning.message.endswith(".") for meaning in MEANINGS.values())


def test_contact_at_installation_is_malicious_and_at_import_suspicious() -> None:
    assert after(report(), observed(Kind.CONTACT, Context.INSTALL)).verdict is Verdict.MALICIOUS
    assert after(report(), observed(Kind.CONTACT)).verdict is Verdict.SUSPICIOUS


def test_compiler_at_installation_is_benign() -> None:
    assert after(report(), observed(Kind.PROCESS, Context.INSTALL)).verdict is Verdict.BENIGN


def test_look_that_broke_off_is_never_clean() -> None:
    found = after(report(), gaps=("dynamic look: import: timed out",))
    assert (found.verdict, found.incomplete_reason) == (Verdict.INCOMPLETE, "dynamic look: import: timed out")
    assert after(report(Verdict.SUSPICIOUS, 0.7), gaps=("x",)).verdict is Verdict.INCOMPLETE
    assert after(report(), observed(Kind.DECOY_READ), gaps=("x",)).verdict is Verdict.MALICIOUS


@pytest.mark.parametrize("verdict", list(Verdict))
def test_look_that_saw_nothing_makes_nothing_milder(verdict: Verdict) -> None:
    reason = "x" if verdict is Verdict.INCOMPLETE else None
    found = after(report(verdict, 0.9, reason))
    assert (found.verdict, found.score, found.incomplete_reason) == (verdict, 0.9, reason)
    assert found.dynamic == PART


def test_what_start_and_import_both_show_is_told_of_the_start() -> None:
    findings = findings_of([observed(Kind.CONTACT), observed(Kind.CONTACT, Context.STARTUP)], 100)
    assert [(finding.context, finding.severity) for finding in findings] == [(Context.STARTUP, Severity.CRITICAL)]


def test_findings_are_ordered_and_bounded() -> None:
    many = [observed(Kind.PROCESS, what=f"{number:03}") for number in range(50)] + [observed(Kind.DECOY_READ)]
    findings = findings_of(many, 10)
    assert findings[0].rule == "dynamic-decoy-read"
    assert len(findings) == 10
    assert findings == findings_of(reversed(many), 10)


def test_report_with_a_dynamic_part_survives_its_json() -> None:
    found = after(report(), observed(Kind.DECOY_READ))
    assert Report.from_json(found.to_json(with_context=True)) == found
    assert b"dynamic" not in report().to_json(with_context=True)
