"""Which indexes, trusted how, in which order: from arguments, variables, or the user's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from wheelmark.client.anchor import RootChoice
from wheelmark.client.options import IndexChoice, Options, options, parser, read_indexes, split
from wheelmark.errors import Refused, Unavailable

INDEX = "https://index.example.org/simple/"
OTHER = "https://other.example.org/simple/"


@pytest.fixture(autouse=True)
def no_user_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-configuration"))


def read(*argv: str, **environment: str) -> Options:
    return options(parser("run", "", "", tunnels=True), argv, environment)


@pytest.mark.parametrize(
    ("argv", "own"),
    [
        (["install", "demo"], 0),
        (["--index", INDEX, "install", "demo"], 2),
        ([f"--index={INDEX}", "--trust-on-first-use", "install", "--index", "x"], 2),
        (["--index", INDEX, "--no-deps", "--root", "x"], 2),
        (["--index", INDEX, "--namespace", "acme", "--index", OTHER, "--", "poetry"], 6),
        (["--tunnel", "example.org", "x"], 2),
        (["--help"], 1),
        (["install", "--help"], 0),
        (["--index", INDEX, "--help"], 2),
        ([], 0),
        (["--index"], 2),
    ],
)
def test_own_options_end_at_the_first_other_word(argv: list[str], own: int) -> None:
    assert split(argv) == (argv[:own], argv[own:])


@pytest.mark.parametrize(
    ("text", "tunnel"),
    [
        ("Registry.example.org", ("registry.example.org", 443)),
        ("localhost:8443", ("localhost", 8443)),
        ("[::1]:8443", ("::1", 8443)),
        ("127.0.0.1", ("127.0.0.1", 443)),
    ],
)
def test_tunnel_leads_to_one_host_and_port(text: str, tunnel: tuple[str, int]) -> None:
    assert read("--index", INDEX, "--tunnel", text).tunnels == (tunnel,)


@pytest.mark.parametrize("text", ["", ":443", "a:", "a:x", "a:0", "a:70000", "a/b", "https://a", "me@a", "[::1", "a?b"])
def test_what_is_no_host_is_not_tunnelled_to(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--index", INDEX, "--tunnel", text)
    assert "expected HOST or HOST:PORT" in capsys.readouterr().err


def test_index_and_root_come_from_the_environment_when_not_given() -> None:
    environment = {"WHEELMARK_INDEX": INDEX, "WHEELMARK_ROOT": "root.json", "WHEELMARK_STATE": "state"}
    got = read(**environment)
    assert got.indexes == (IndexChoice(url=INDEX, root=RootChoice(file=Path("root.json"))),)
    assert got.directory == Path("state")
    other = read("--index", OTHER, "--root", "b", "--state", "c", **environment)
    assert other.indexes == (IndexChoice(url=OTHER, root=RootChoice(file=Path("b"))),)
    assert other.directory == Path("c")


def test_fingerprint_given_outweighs_a_root_file_in_the_environment() -> None:
    [index] = read("--index", INDEX, "--root-fingerprint", "ab", WHEELMARK_ROOT="root.json").indexes
    assert index.root == RootChoice(fingerprint="ab")


def test_root_and_namespace_belong_to_the_index_before_them() -> None:
    argv = ["--index", INDEX, "--root", "a", "--namespace", "acme", "--namespace", "own", "--index", OTHER]
    first, second = read(*argv, "--root-fingerprint", "cd").indexes
    assert first == IndexChoice(url=INDEX, root=RootChoice(file=Path("a")), namespaces=("acme", "own"))
    assert second == IndexChoice(url=OTHER, root=RootChoice(fingerprint="cd"))


def test_what_comes_before_the_first_index_belongs_to_it() -> None:
    first, second = read("--root", "a", "--index", INDEX, "--index", OTHER, "--root", "b").indexes
    assert (first.root.file, second.root.file) == (Path("a"), Path("b"))


def test_root_in_the_environment_is_not_taken_for_one_of_several_indexes() -> None:
    first, second = read("--index", INDEX, "--index", OTHER, WHEELMARK_ROOT="root.json").indexes
    assert first.root == second.root == RootChoice()


def test_two_roots_for_one_index_are_refused() -> None:
    with pytest.raises(Refused, match="expected one for"):
        read("--index", INDEX, "--root", "a", "--root", "b")


def test_file_gives_indexes_in_its_order_with_roots_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "indexes.toml"
    path.write_text(
        f'[[index]]\nurl = "{INDEX}"\nroot = "own.json"\nnamespaces = ["acme"]\n'
        f'[[index]]\nurl = "{OTHER}"\nroot-fingerprint = "ab"\n'
    )
    expected = (
        IndexChoice(url=INDEX, root=RootChoice(file=tmp_path / "own.json"), namespaces=("acme",)),
        IndexChoice(url=OTHER, root=RootChoice(fingerprint="ab")),
    )
    assert read("--config", str(path)).indexes == expected
    assert read(WHEELMARK_CONFIG=str(path)).indexes == expected
    assert [index.url for index in read("--index", OTHER, WHEELMARK_CONFIG=str(path)).indexes] == [OTHER]


def test_users_own_file_is_read_when_nothing_else_names_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "wheelmark").mkdir()
    (tmp_path / "wheelmark" / "indexes.toml").write_text(f'[[index]]\nurl = "{INDEX}"\n')
    assert [index.url for index in read().indexes] == [INDEX]


def test_root_without_an_index_beside_a_file_is_wrong_usage(tmp_path: Path) -> None:
    path = tmp_path / "indexes.toml"
    path.write_text(f'[[index]]\nurl = "{INDEX}"\n')
    with pytest.raises(SystemExit):
        read("--config", str(path), "--root", "a")


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("index = [", 1),
        ("", 1),
        ("[other]\n", 1),
        ("[[index]]\n", 1),
        ('[[index]]\nurl = 1\nroot = 2\nroots = "x"\nnamespaces = "acme"\n', 4),
        ('[[index]]\nurl = "x"\nnamespaces = [1]\n', 1),
    ],
)
def test_file_of_another_form_is_refused_with_all_its_faults(tmp_path: Path, text: str, faults: int) -> None:
    path = tmp_path / "indexes.toml"
    path.write_text(text)
    with pytest.raises(Refused, match="expected") as caught:
        read_indexes(path)
    assert len(caught.value.faults) == faults


def test_file_that_was_named_and_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        read("--config", str(tmp_path / "none.toml"))
