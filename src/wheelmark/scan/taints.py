"""What values come from: which calls give secrets, identities, captures or responses, and which hand them on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from wheelmark.scan.values import Taint
from wheelmark.scan.vocabulary import CIPHERS, RECEIVED, REQUESTS, names_of

_RESPONSES = REQUESTS | RECEIVED
# Which system it is says nothing of who: `platform.system` and its like are not among these.
_HOST_FACTS = names_of("""
    socket: gethostname getfqdn
    platform: node uname
    os: uname getlogin getcwd getuid
    getpass: getuser
    uuid: getnode
    pwd: getpwuid
    psutil: net_if_addrs users
    netifaces: ifaddresses
    win32api: GetComputerName GetUserName
""")
# What people type, see, copy and say.
_CAPTURES = names_of("""
    pyperclip: paste waitForPaste waitForNewPaste
    win32clipboard: GetClipboardData
    tkinter.Tk(): clipboard_get selection_get
    clipboard: paste
    PIL.ImageGrab: grab grabclipboard
    pyautogui: screenshot
    pyscreenshot: grab
    mss.mss(): grab shot save
    mss: grab shot
    cv2.VideoCapture(): read
    sounddevice: rec
    pyaudio.PyAudio().open(): read
    keyboard: record read_event get_typed_strings
    pynput.keyboard.Events(): get
""")
# What calls back with what people type; the callback's argument is a captured key.
CAPTURE_LISTENERS: dict[str, tuple[tuple[int, str], ...]] = {
    "pynput.keyboard.Listener": ((0, "on_press"), (1, "on_release")),
    "pynput.keyboard.GlobalHotKeys": (),
    "keyboard.on_press": ((0, "callback"),),
    "keyboard.on_release": ((0, "callback"),),
    "keyboard.hook": ((0, "callback"),),
}
# What calls back with what somebody else wrote: chat bots. A function decorated with one of these gets messages.
MESSAGE_HANDLERS = re.compile(
    r"^(telebot\.(async_telebot\.Async)?TeleBot\(\)\.\w*handler|pyrogram\.Client\(\)\.on_\w+|"
    r"telethon\.(sync\.)?TelegramClient\(\)\.on|aiogram\.\w+\(\)\.(message|callback_query|\w*handler)|"
    r"discord\.(ext\.commands\.)?(Bot|Client|AutoShardedBot)\(\)\.(event|command|listen|hybrid_command)|"
    r"socketio\.(Async)?Client\(\)\.(on|event))\b"
)
SECRET_VARIABLE = re.compile(r"(?i)(token|secret|passw|api_?key|credential|private_?key|aws_|github_|session)")
SECRET_PATH = re.compile(
    r"(?i)(\.ssh[/\\]|id_(rsa|ed25519|ecdsa|dsa)\b|\.aws[/\\]|\.kube[/\\]config|\.docker[/\\]config|\.git-credentials|"
    r"\.netrc\b|\.pypirc|\.npmrc|/etc/(passwd|shadow)|\.bash_history|\.zsh_history|\.gnupg|\.config[/\\]gcloud|"
    r"\.config[/\\](gh|solana)[/\\]|\.azure[/\\]|/run/secrets/|"
    r"Login Data|\bCookies\b|Local State|Web Data|logins\.json|key4\.db|wallet\.dat|\.electrum|Exodus|"
    r"Local Storage[/\\]leveldb|\bleveldb\b|keystore|tdata\b|\.ROBLOSECURITY)"
)
# The names of arguments that hold what gives everything away: who has a seed phrase has the money.
SECRET_PARAMETER = re.compile(
    r"(?i)^_*(priv(ate)?_?key(_\w+)?|\w*_priv(ate)?_?key|pk_hex|mnemonics?|\w*mnemonic\w*|seed_?(phrase|words)|"
    r"wallet_?(seed|key)|secret_?(access_)?key|access_?key_?secret|keypair|passphrase)$"
)
# Classes of other distributions whose instances are keys.
KEY_CLASS = re.compile(r"\.(\w*Key_?[pP]air|(Local)?Account|SigningKey|(\w+)?PrivateKey|Mnemonic|HDWallet)(\(\))?$")
HOST_VARIABLES = frozenset({"USER", "USERNAME", "COMPUTERNAME", "HOSTNAME", "LOGNAME", "USERDOMAIN"})
ADDRESS_SERVICE = re.compile(
    r"(?i)(api\d*\.ipify\.org|ifconfig\.(me|co|io)|ipinfo\.io|ip-api\.com|icanhazip|checkip\.|ident\.me|ipapi\.co|"
    r"myip\.|ipwhois\.app|geolocation-db\.com|ipecho\.net)"
)
IDENTITY_COMMAND = re.compile(
    r"(?i)(^|[\s;|&/\"'])(whoami|hostname|ifconfig|ipconfig|systeminfo|uname|id|env|printenv|set)\b|"
    r"\bwmic\s+(csproduct|bios|cpu|diskdrive|computersystem)\b"
)


@lru_cache(maxsize=10_000)
def gives(name: str) -> Taint | None:
    """The kind of origin that the result of calling `name` has."""
    if name in _RESPONSES:
        return Taint.NETWORK
    if name in _HOST_FACTS:
        return Taint.HOST
    if name in _CAPTURES:
        return Taint.CAPTURE
    if name.startswith(CIPHERS) and name.endswith((".decrypt", ".decrypt_and_verify")):
        return Taint.DECODED
    return None


# Functions whose result is made of their arguments.
_PROPAGATING = names_of("""
    -: str bytes bytearray list tuple dict set frozenset repr ascii format sorted reversed map filter zip iter next
    -: enumerate compile memoryview vars open print getattr sum min max int float
    functools: reduce partial
    types: FunctionType CodeType
    textwrap: dedent
    urllib.request: Request
    requests: Request
    discord: File
    discord.ext.commands: Context
""")
_PROPAGATING_PREFIXES = (
    *("base64.", "binascii.", "zlib.", "codecs.", "gzip.", "bz2.", "lzma.", "marshal.", "pickle.", "struct."),
    *("json.", "orjson.", "ujson.", "simplejson.", "urllib.parse.", "html.", "email.mime.", "bs4."),
    *("io.", "zipfile.", "tarfile.", "string.", "re.", "itertools."),
    *("cryptography.", "Crypto.", "Cryptodome.", "nacl.", "fernet."),
)
_DECODER_PREFIXES = (
    *("base64.", "binascii.", "zlib.", "gzip.", "bz2.", "lzma."),
    *("bytes.fromhex", "bytearray.fromhex", "codecs.decode"),
)
_DECODING_WORDS = ("decode", "decompress", "unhex", "a2b", "fromhex")
_TEXT_CODECS = ("utf", "ascii", "latin", "iso", "cp1", "mbcs")


@lru_cache(maxsize=10_000)
def may_decode(name: str) -> bool:
    """True when `name` decodes or decompresses with some arguments."""
    # What an encoder gave is turned into text as often as what a decoder gave, and hides nothing.
    told = name.removesuffix("().decode")
    return told.startswith(_DECODER_PREFIXES) and any(word in told for word in _DECODING_WORDS)


def decodes(name: str, arguments: Sequence[object]) -> bool:
    """True when `name` decodes or decompresses; turning bytes into text by a character set is no decoding."""
    if not may_decode(name):
        return False
    if name == "codecs.decode":
        codec = arguments[1] if len(arguments) > 1 else "utf-8"
        return not (isinstance(codec, str) and codec.lower().startswith(_TEXT_CODECS))
    return True


@lru_cache(maxsize=10_000)
def propagates(name: str) -> bool:
    """True when the result of calling `name` comes from what its arguments came from."""
    return name in _PROPAGATING or name.startswith(_PROPAGATING_PREFIXES)
