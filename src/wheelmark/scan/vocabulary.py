"""The names of the standard library and of common libraries that facts are made of: what they do and give.

Names are canonical: `builtins.exec` is `exec`, `posix.system` is `os.system`, `urllib2.urlopen` is
`urllib.request.urlopen`. `()` stands for the result of a call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from wheelmark.scan.facts import Act
from wheelmark.scan.values import Taint


def _names(table: str) -> frozenset[str]:
    """The dotted names of a table: each line is an owner, a colon, and the names below it; `-` owns built-ins."""
    found: set[str] = set()
    for line in table.strip().splitlines():
        owner, _, names = line.strip().partition(": ")
        found.update(name if owner == "-" else f"{owner}.{name}" for name in names.split())
    return frozenset(found)


_PROCESS = _names("""
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
_REQUESTS = _names("""
    requests: get post put patch delete head options request
    requests.api: get post put patch delete head options request
    requests.Session(): get post put patch delete head options request
    requests.session(): get post put patch delete head options request
    httpx: get post put patch delete head options request stream
    httpx.Client(): get post put patch delete head options request stream
    httpx.AsyncClient(): get post put patch delete head options request stream
    aiohttp.ClientSession(): get post put patch delete head options request ws_connect
    cloudscraper.create_scraper(): get post request
    curl_cffi.requests: get post request
    tls_client.Session(): get post
    urllib.request: urlopen
    urllib.request.build_opener(): open
    urllib3: request
    urllib3.PoolManager(): request urlopen
    http.client.HTTPConnection(): request getresponse
    http.client.HTTPSConnection(): request getresponse
    websocket: create_connection
    websockets: connect
    pycurl.Curl(): perform
""")
_MESSAGES = _names("""
    socket.socket(): send sendall sendto
    socket.create_connection(): send sendall
    ssl.wrap_socket(): send sendall
    smtplib.SMTP(): sendmail send_message
    smtplib.SMTP_SSL(): sendmail send_message
    ftplib.FTP(): storbinary storlines
    paramiko.SSHClient(): connect
    discord_webhook: DiscordWebhook
    discord_webhook.DiscordWebhook(): execute
    discord.SyncWebhook.from_url(): send
    discord.Webhook.from_url(): send
    dhooks.Webhook(): send
    telebot.TeleBot(): send_message send_document
    telegram.Bot(): send_message send_document
""")
LOOK_UPS = _names("""
    socket: gethostbyname getaddrinfo
    dns.resolver: resolve query
    dns.resolver.Resolver(): resolve query
""")
_RECEIVED = _names("""
    socket.socket(): recv recvfrom
    socket.create_connection(): recv
    ssl.wrap_socket(): recv
    ssl.SSLContext().wrap_socket(): recv
    ssl.create_default_context().wrap_socket(): recv
    dns.resolver: resolve query
""")

ACTS: dict[str, Act] = {
    name: act
    for act, names in {
        Act.RUN_CODE: _names("""
            -: exec eval execfile
            types: FunctionType
            runpy: run_module
            code.InteractiveInterpreter(): runcode
            code.InteractiveConsole(): runcode
        """),
        Act.LOAD_CODE: _names("""
            marshal: loads load
            pickle: loads
            dill: loads
            cloudpickle: loads
        """),
        Act.START_PROCESS: _PROCESS,
        Act.SEND: _REQUESTS | _MESSAGES | LOOK_UPS,
        Act.DOWNLOAD: _names("""
            urllib.request: urlretrieve
            urllib.request.URLopener(): retrieve
            urllib.request.FancyURLopener(): retrieve
            wget: download
            gdown: download
        """),
        Act.CONNECT: _names("""
            socket: create_connection
            socket.socket(): connect connect_ex
        """),
        Act.REDIRECT: frozenset({"os.dup2"}),
        Act.WRITE: _names("""
            open(): write writelines
            os: write rename replace
            os.fdopen(): write
            pathlib.Path(): write_text write_bytes
            tempfile.NamedTemporaryFile(): write
            aiofiles.open(): write
            shutil: copyfileobj copy copyfile copy2 move
        """),
        Act.READ: _names("""
            -: open
            pathlib.Path(): read_text read_bytes
            sqlite3: connect
            pkgutil: get_data
            glob: glob
            os: listdir walk scandir
        """),
        Act.REGISTER: _names("winreg: SetValueEx SetValue CreateKeyEx CreateKey OpenKey"),
        Act.DELETE: _names("""
            shutil: rmtree
            os: remove unlink rmdir
        """),
        Act.INSTALL: _names("""
            pip: main
            pip._internal: main
            pip._internal.main: main
            pip._internal.cli.main: main
        """),
    }.items()
    for name in names
}

NATIVE_PREFIXES = ("ctypes.windll.", "ctypes.cdll.", "ctypes.CDLL().", "ctypes.WinDLL().")
NATIVE_NAMES = frozenset({"ctypes.CDLL", "ctypes.WinDLL", "ctypes.cdll.LoadLibrary", "ctypes.windll.LoadLibrary"})

_RESPONSES = _REQUESTS | _RECEIVED
# Which system it is says nothing of who: `platform.system` and its like are not among these.
_HOST_FACTS = _names("""
    socket: gethostname getfqdn
    platform: node uname
    os: uname getlogin getcwd getuid
    getpass: getuser
    uuid: getnode
    pwd: getpwuid
    psutil: net_if_addrs users
    netifaces: ifaddresses
""")
_CIPHERS = ("cryptography.", "Crypto.", "Cryptodome.", "nacl.", "pyaes.", "rsa.")

SECRET_VARIABLE = re.compile(r"(?i)(token|secret|passw|api_?key|credential|private_?key|aws_|github_|session)")
SECRET_PATH = re.compile(
    r"(?i)(\.ssh[/\\]|id_(rsa|ed25519|ecdsa|dsa)\b|\.aws[/\\]|\.kube[/\\]config|\.docker[/\\]config|\.git-credentials|"
    r"\.netrc\b|\.pypirc|\.npmrc|/etc/(passwd|shadow)|\.bash_history|\.zsh_history|\.gnupg|\.config[/\\]gcloud|"
    r"Login Data|\bCookies\b|Local State|Web Data|logins\.json|key4\.db|wallet\.dat|\.electrum|Exodus|"
    r"Local Storage[/\\]leveldb|\bleveldb\b|keystore|tdata\b)"
)
ADDRESS_SERVICE = re.compile(
    r"(?i)(api\.ipify\.org|ifconfig\.(me|co|io)|ipinfo\.io|ip-api\.com|icanhazip|checkip\.|ident\.me|ipapi\.co|myip\.)"
)
IDENTITY_COMMAND = re.compile(
    r"(?i)(^|[\s;|&/\"'])(whoami|hostname|ifconfig|ipconfig|systeminfo|uname|id|env|printenv|set)\b"
)

_ALIASES = (
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
_EXACT_ALIASES = {
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


@lru_cache(maxsize=50_000)
def canonical(name: str) -> str:
    """The one name that the tables use for a resolved dotted name."""
    found = _EXACT_ALIASES.get(name)
    if found is not None:
        return found
    for old, new in _ALIASES:
        if name.startswith(old) and len(name) > len(old):
            return canonical(new + name[len(old) :]) if new != old else name
    return name


def act_of(name: str) -> Act | None:
    """What calling `name` does; None when no rule cares."""
    found = ACTS.get(name)
    if found is not None:
        return found
    if name.startswith(NATIVE_PREFIXES) or name in NATIVE_NAMES:
        return Act.NATIVE
    return None


def gives(name: str) -> Taint | None:
    """The kind of origin that the result of calling `name` has."""
    if name in _RESPONSES:
        return Taint.NETWORK
    if name in _HOST_FACTS:
        return Taint.HOST
    if name.startswith(_CIPHERS) and name.endswith(".decrypt"):
        return Taint.DECODED
    return None


# Functions whose result is made of their arguments.
_PROPAGATING = _names("""
    -: str bytes bytearray list tuple dict set frozenset repr ascii format sorted reversed map filter zip iter next
    -: enumerate compile memoryview vars open print getattr sum min max int float
    functools: reduce partial
    types: FunctionType CodeType
    textwrap: dedent
    urllib.request: Request
    requests: Request
""")
_PROPAGATING_PREFIXES = (
    *("base64.", "binascii.", "zlib.", "codecs.", "gzip.", "bz2.", "lzma.", "marshal.", "pickle.", "struct."),
    *("json.", "orjson.", "ujson.", "simplejson.", "urllib.parse.", "html.", "email.mime.", "bs4."),
    *("io.", "zipfile.", "tarfile.", "string.", "re.", "itertools."),
    *("cryptography.", "Crypto.", "Cryptodome.", "nacl."),
)
_DECODER_PREFIXES = (
    *("base64.", "binascii.", "zlib.", "gzip.", "bz2.", "lzma."),
    *("bytes.fromhex", "bytearray.fromhex", "codecs.decode"),
)
_DECODING_WORDS = ("decode", "decompress", "unhex", "a2b", "fromhex")
_TEXT_CODECS = ("utf", "ascii", "latin", "iso", "cp1", "mbcs")


def decodes(name: str, arguments: Sequence[object]) -> bool:
    """True when `name` decodes or decompresses; turning bytes into text by a character set is no decoding."""
    if not name.startswith(_DECODER_PREFIXES) or not any(word in name for word in _DECODING_WORDS):
        return False
    if name == "codecs.decode":
        codec = arguments[1] if len(arguments) > 1 else "utf-8"
        return not (isinstance(codec, str) and codec.lower().startswith(_TEXT_CODECS))
    return True


def propagates(name: str) -> bool:
    """True when the result of calling `name` comes from what its arguments came from."""
    return name in _PROPAGATING or name.startswith(_PROPAGATING_PREFIXES)


# What a call with a callable argument runs by itself: (name, position or keyword of the callable).
CALLERS: dict[str, tuple[int, str]] = {
    "threading.Thread": (1, "target"),
    "threading.Timer": (1, "function"),
    "multiprocessing.Process": (1, "target"),
    "atexit.register": (0, "func"),
    "_thread.start_new_thread": (0, "function"),
    "thread.start_new_thread": (0, "function"),
    "asyncio.get_event_loop().run_until_complete": (0, "future"),
    "map": (0, ""),
    "filter": (0, ""),
    "functools.reduce": (0, ""),
    "concurrent.futures.ThreadPoolExecutor().submit": (0, "fn"),
    "concurrent.futures.ThreadPoolExecutor().map": (0, "fn"),
}
