"""The names of the standard library and of common libraries that facts are made of: what they do.

Names are canonical: `builtins.exec` is `exec`, `posix.system` is `os.system`, `urllib2.urlopen` is
`urllib.request.urlopen`. `()` stands for the result of a call.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import lru_cache

from wheelmark.scan.facts import Act


def names_of(table: str) -> frozenset[str]:
    """The dotted names of a table: each line is an owner, a colon, and the names below it; `-` owns built-ins."""
    found: set[str] = set()
    for line in table.strip().splitlines():
        owner, _, names = line.strip().partition(": ")
        found.update(name if owner == "-" else f"{owner}.{name}" for name in names.split())
    return frozenset(found)


_PROCESS = names_of("""
    os: system popen popen2 popen3 popen4 startfile posix_spawn posix_spawnp
    os: execl execle execlp execlpe execv execve execvp execvpe
    os: spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe
    subprocess: run call check_call check_output Popen getoutput getstatusoutput
    commands: getoutput getstatusoutput
    asyncio: create_subprocess_exec create_subprocess_shell
    asyncio.subprocess: create_subprocess_exec create_subprocess_shell
    pty: spawn
    win32api: ShellExecute WinExec
    pexpect: spawn run
    ctypes.windll.shell32: ShellExecuteW ShellExecuteA
    ctypes.windll.kernel32: WinExec
    distutils.spawn: spawn
    runpy: run_path
""")
REQUESTS = names_of("""
    requests: get post put patch delete head options request
    requests.api: get post put patch delete head options request
    requests.Session(): get post put patch delete head options request
    requests.session(): get post put patch delete head options request
    httpx: get post put patch delete head options request stream
    httpx.Client(): get post put patch delete head options request stream
    httpx.AsyncClient(): get post put patch delete head options request stream
    aiohttp.ClientSession(): get post put patch delete head options request ws_connect
    cloudscraper.create_scraper(): get post request
    primp: get post
    niquests: get post put request
    grequests: get post
    xmlrpc.client.ServerProxy(): send
    curl_cffi.requests: get post request
    tls_client.Session(): get post
    urllib.request: urlopen
    urllib.request.build_opener(): open
    urllib3: request
    urllib3.PoolManager(): request urlopen
    urllib3.HTTPConnectionPool(): request urlopen
    urllib3.HTTPSConnectionPool(): request urlopen
    http.client.HTTPConnection(): request getresponse
    http.client.HTTPSConnection(): request getresponse
    websocket: create_connection
    websockets: connect
    pycurl.Curl(): perform
""")
_MESSAGES = names_of("""
    socket.socket(): send sendall sendto
    socket.create_connection(): send sendall
    smtplib.SMTP(): sendmail send_message
    smtplib.SMTP_SSL(): sendmail send_message
    ftplib.FTP(): storbinary storlines
    ftplib.FTP_TLS(): storbinary storlines
    paramiko.SSHClient(): connect
    paramiko.SFTPClient.from_transport(): put
    asyncio.open_connection()[]: write
    webbrowser: open open_new open_new_tab
    discord_webhook: DiscordWebhook
    discord_webhook.DiscordWebhook(): execute
    discord.SyncWebhook.from_url(): send
    discord.Webhook.from_url(): send
    dhooks.Webhook(): send
    dhooks_lite.Webhook(): execute
    telebot.TeleBot(): send_message send_document send_photo send_media_group send_audio send_video reply_to
    telegram.Bot(): send_message send_document send_photo send_audio send_video
    telegram.ext.ApplicationBuilder().token().build().bot: send_message send_document send_photo
    aiogram.Bot(): send_message send_document send_photo
    pyrogram.Client(): send_message send_document send_photo
    telethon.TelegramClient(): send_message send_file
    telethon.sync.TelegramClient(): send_message send_file
""")
LOOK_UPS = names_of("""
    socket: gethostbyname getaddrinfo
    dns.resolver: resolve query
    dns.resolver.Resolver(): resolve query
""")
RECEIVED = names_of("""
    socket.socket(): recv recvfrom
    socket.create_connection(): recv
    dns.resolver: resolve query
""")

ACTS: dict[str, Act] = {
    name: act
    for act, names in {
        Act.RUN_CODE: names_of("""
            -: exec eval execfile
            types: FunctionType
            runpy: run_module
            importlib.util.spec_from_file_location().loader: exec_module
            importlib.machinery.SourceFileLoader(): load_module exec_module
            importlib.machinery.SourcelessFileLoader(): load_module exec_module
            zipimport.zipimporter(): load_module exec_module
            imp: load_source load_compiled
            code.InteractiveInterpreter(): runcode
            code.InteractiveConsole(): runcode
        """),
        Act.LOAD_CODE: names_of("""
            marshal: loads load
            pickle: loads load
            dill: loads
            cloudpickle: loads
        """),
        Act.START_PROCESS: _PROCESS,
        Act.SEND: REQUESTS | _MESSAGES | LOOK_UPS,
        Act.DOWNLOAD: names_of("""
            urllib.request: urlretrieve
            urllib.request.URLopener(): retrieve
            urllib.request.FancyURLopener(): retrieve
            wget: download
            gdown: download
        """),
        Act.CONNECT: names_of("""
            socket: create_connection
            asyncio: open_connection
            socket.socket(): connect connect_ex
        """),
        Act.REDIRECT: frozenset({"os.dup2"}),
        Act.WRITE: names_of("""
            open(): write writelines
            os: write rename replace
            os.fdopen(): write
            pathlib.Path(): write_text write_bytes rename replace
            pathlib.Path().open(): write
            tempfile.NamedTemporaryFile(): write
            tempfile.TemporaryFile(): write
            aiofiles.open(): write
            shutil: copyfileobj copy copyfile copy2 move
        """),
        Act.READ: names_of("""
            -: open
            pathlib.Path(): read_text read_bytes
            sqlite3: connect
            pkgutil: get_data
            glob: glob
            os: listdir walk scandir
        """),
        Act.REGISTER: names_of("winreg: SetValueEx SetValue CreateKeyEx CreateKey OpenKey"),
        Act.DELETE: names_of("""
            shutil: rmtree
            os: remove unlink rmdir
        """),
        Act.COPY: names_of("""
            pyperclip: copy
            clipboard: copy
            pandas.io.clipboard: copy
            win32clipboard: SetClipboardData SetClipboardText
            tkinter.Tk(): clipboard_append
            ctypes.windll.user32: SetClipboardData
        """),
        Act.INSTALL: names_of("""
            pip: main
            pip._internal: main
            pip._internal.main: main
            pip._internal.cli.main: main
        """),
    }.items()
    for name in names
}

CIPHERS = ("cryptography.", "Crypto.", "Cryptodome.", "nacl.", "pyaes.", "rsa.", "fernet.")
NATIVE_PREFIXES = ("ctypes.windll.", "ctypes.cdll.", "ctypes.CDLL().", "ctypes.WinDLL().")
NATIVE_NAMES = frozenset({"ctypes.CDLL", "ctypes.WinDLL", "ctypes.cdll.LoadLibrary", "ctypes.windll.LoadLibrary"})

ALIASES = (
    ("builtins.", ""),
    ("__builtin__.", ""),
    ("__builtins__.", ""),
    ("posix.", "os."),
    ("nt.", "os."),
    ("urllib2.", "urllib.request."),
    ("six.moves.urllib.", "urllib."),
    ("six.moves.builtins.", ""),
    ("httplib.", "http.client."),
    ("_winreg.", "winreg."),
    ("cPickle.", "pickle."),
    ("_pickle.", "pickle."),
    ("_io.", "io."),
    ("pathlib.PosixPath", "pathlib.Path"),
    ("requests.sessions.", "requests."),
    ("asyncio.subprocess.subprocess.", "subprocess."),
)  # fmt: skip
_WRAPPED = "wrap_socket()."
# However one came to a path, what is done with it is the same.
_PATH_STEPS = re.compile(
    r"^pathlib\.Path(\.home|\.cwd)?\(\)(\.parents\[\]|\.parent|\.(expanduser|resolve|absolute|joinpath|with_suffix|with_name)\(\))*(?=\.)"
)
EXACT_ALIASES = {
    "urllib.urlopen": "urllib.request.urlopen",
    "urllib.urlretrieve": "urllib.request.urlretrieve",
    "urllib.quote": "urllib.parse.quote",
    "urllib.urlencode": "urllib.parse.urlencode",
    "io.open": "open",
    "codecs.open": "open",
    "os.environ.__getitem__": "os.getenv",
    "os.environ.get": "os.getenv",
    "file": "open",
    "unicode": "str",
    "raw_input": "input",
    "subprocess._subprocess.Popen": "subprocess.Popen",
    "six.exec_": "exec",
}


@lru_cache(maxsize=10_000)
def canonical(name: str) -> str:
    """The one name that the tables use for a resolved dotted name."""
    found = EXACT_ALIASES.get(name)
    if found is not None:
        return found
    if _WRAPPED in name:
        # A socket stays a socket, whatever context encrypts it.
        return f"socket.socket().{name.rpartition(_WRAPPED)[2]}"
    if name.startswith("pathlib.Path"):
        name = _PATH_STEPS.sub("pathlib.Path()", name, count=1)
    for old, new in ALIASES:
        if name.startswith(old) and len(name) > len(old):
            return canonical(new + name[len(old) :]) if new != old else name
    return name


def _prefixes(name: str) -> Iterator[str]:
    """`a.B().c` gives `a`, `a.B`, `a.B()` and `a.B().c`."""
    for position, character in enumerate(name):
        if character in ".(":
            yield name[:position]
        elif character == ")":
            yield name[: position + 1]
    yield name


_KNOWN = frozenset(prefix for name in (*ACTS, *RECEIVED) for prefix in _prefixes(name))


def is_known(name: str) -> bool:
    """True for a name of the tables, and for the modules and classes on the way to one."""
    return name in _KNOWN or name.startswith(CIPHERS)


# What compiled code is taken to call when it has all the words of a name. Files it reads and writes say nothing.
_TELLING = (Act.RUN_CODE, Act.LOAD_CODE, Act.START_PROCESS, Act.SEND, Act.DOWNLOAD, Act.CONNECT, Act.REGISTER)
_WORDS = {name: frozenset(name.replace("()", "").split(".")) for name, act in ACTS.items() if act in _TELLING}


def acts_of_names(names: frozenset[str]) -> list[str]:
    """The names of the tables whose words are all among `names`."""
    return [name for name, words in _WORDS.items() if words <= names]


def act_of(name: str) -> Act | None:
    """What calling `name` does; None when no rule cares."""
    found = ACTS.get(name)
    if found is not None:
        return found
    if name.startswith(NATIVE_PREFIXES) or name in NATIVE_NAMES:
        return Act.NATIVE
    return None


STANDARD_CONSTANTS = {
    f"string.{name}": getattr(string, name)
    for name in (
        *("ascii_letters", "ascii_lowercase", "ascii_uppercase", "digits", "hexdigits", "octdigits"),
        *("punctuation", "printable", "whitespace"),
    )
}

# What a call with a callable argument runs by itself: (name, position or keyword of the callable).
CALLERS: dict[str, tuple[int, str]] = {
    "threading.Thread": (1, "target"),
    "threading.Timer": (1, "function"),
    "multiprocessing.Process": (1, "target"),
    "atexit.register": (0, "func"),
    "asyncio.run": (0, "main"),
    "asyncio.create_task": (0, "coro"),
    "asyncio.ensure_future": (0, "coro_or_future"),
    "asyncio.get_event_loop().create_task": (0, "coro"),
    "asyncio.new_event_loop().run_until_complete": (0, "future"),
    "asyncio.new_event_loop().create_task": (0, "coro"),
    "multiprocessing.Pool().map": (0, "func"),
    "multiprocessing.Pool().apply": (0, "func"),
    "multiprocessing.Pool().apply_async": (0, "func"),
    "multiprocessing.pool.ThreadPool().map": (0, "func"),
    "multiprocessing.pool.ThreadPool().apply_async": (0, "func"),
    "sys.addaudithook": (0, "hook"),
    "sys.setprofile": (0, "function"),
    "sys.settrace": (0, "function"),
    "weakref.finalize": (1, "func"),
    "contextlib.ExitStack().callback": (0, "callback"),
    "signal.signal": (1, "handler"),
    "_thread.start_new_thread": (0, "function"),
    "thread.start_new_thread": (0, "function"),
    "asyncio.get_event_loop().run_until_complete": (0, "future"),
    "map": (0, ""),
    "filter": (0, ""),
    "functools.reduce": (0, ""),
    "concurrent.futures.ThreadPoolExecutor().submit": (0, "fn"),
    "concurrent.futures.ThreadPoolExecutor().map": (0, "fn"),
}
