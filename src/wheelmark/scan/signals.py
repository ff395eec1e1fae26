"""Signals: words and bytes that the model weighs and that mean nothing by themselves.

A clipboard is read by editors, a registry key is set by installers. Signals are therefore no findings: each becomes a
feature by when the code around it runs. They name classes of behaviour and of services, never a project, an author or
a campaign. All are compiled into the same pass over the bytes as the patterns of the rules.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "signal:"  # of the namespace that a signal is compiled into; no rule id has a colon


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal: its name, what it says as a clause, and the YARA strings of which any one suffices."""

    name: str
    says: str
    strings: tuple[str, ...]

    @property
    def yara(self) -> str:
        """The YARA rule of this signal."""
        lines = "\n".join(f"        $s{number} = {string}" for number, string in enumerate(self.strings))
        return f"rule signal {{\n    strings:\n{lines}\n    condition:\n        any of them\n}}\n"


SIGNALS: tuple[Signal, ...] = (
    # Where things are sent to, and fetched from
    Signal(
        "webhook",
        "it names a messenger's webhook or bot",
        (
            r"/discord(app)?\.com\/api\/(v[0-9]+\/)?webhooks/ nocase",
            r'"hooks.slack.com" nocase',
            r'"api.telegram.org" nocase',
            r'"dhooks"',
            r'"discord_webhook"',
            r'"SyncWebhook"',
        ),
    ),
    Signal(
        "capture-host",
        "it names a service that shows its owner whatever is sent there",
        (
            r"/[\/.@](oast\.(pro|live|site|online|fun|me)|interact\.sh|interactsh\.com|burpcollaborator\.net)/ nocase",
            r"/[\/.@](oastify\.com|dnslog\.(cn|pw|link)|ceye\.io|requestbin\.(com|net)|requestcatcher\.com)/ nocase",
            r"/[\/.@](pipedream\.net|webhook\.site|beeceptor\.com|canarytokens\.com|hookbin\.com|bxss\.(me|in))/ nocase",
            r"/[\/.@](requestrepo\.com|ngrok\.(io|app|dev)|ngrok-free\.app|m\.pipedream)/ nocase",
        ),
    ),
    Signal(
        "paste",
        "it names a paste service's raw text",
        (
            r"/(pastebin\.com\/raw|paste\.ee\/r\/|hastebin\.com\/raw|rentry\.(co|org)\/|paste\.rs\/|ghostbin\.)/ nocase",
            r"/(pastie\.|dpaste\.|controlc\.com|textbin\.net|paste\.c-net\.org|pastes\.io|p\.ip\.fi)/ nocase",
        ),
    ),
    Signal(
        "drop-host",
        "it names a host of files that anybody can leave there",
        (
            r"/((cdn|media)\.discordapp\.(com|net)\/attachments|transfer\.sh|anonfiles?\.com|gofile\.io|temp\.sh)/ nocase",
            r"/(catbox\.moe|dropboxusercontent\.com|filebin\.net|file\.io\/|bashupload\.com|0x0\.st|oshi\.at)/ nocase",
            r"/(dropbox\.com\/s|mediafire\.com\/file|mega\.nz\/file|drive\.google\.com\/uc|filetransfer\.io)/ nocase",
        ),
    ),
    Signal(
        "free-host",
        "it names an address on a free hosting service or a tunnel",
        (
            r"/https?:\/\/[a-z0-9.-]{1,60}\.(trycloudflare\.com|repl\.(co|dev)|replit\.(app|dev)|glitch\.me|loca\.lt)/ nocase",
            r"/https?:\/\/[a-z0-9.-]{1,60}\.(000webhostapp\.com|herokuapp\.com|onrender\.com|vercel\.app|workers\.dev)/ nocase",
            r"/https?:\/\/[a-z0-9.-]{1,60}\.(pythonanywhere\.com|netlify\.app|duckdns\.org|ddns\.net|serveo\.net)/ nocase",
            r"/https?:\/\/[a-z0-9.-]{1,60}\.(lhr\.life|portmap\.io|web\.app|firebaseio\.com|deno\.dev|fly\.dev)/ nocase",
        ),
    ),
    Signal(
        "code-host",
        "it fetches raw files of a code host",
        (r'"raw.githubusercontent.com"', r'"gist.githubusercontent.com"', r"/github\.com\/[^\s'\"]{3,100}\/raw\//"),
    ),
    Signal(
        "number-host",
        "it names a machine by its number",
        (
            r"/https?:\/\/([2-9]|1[1-9]|[1-9][0-9]|1[013-9][0-9]|2[0-9]{2})\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}[:\/'\"]/",
        ),
    ),
    Signal(
        "program-address",
        "it names the address of a program",
        (r"/https?:\/\/[^\s'\"<>)]{4,200}\.(exe|scr|bat|ps1|vbs|hta|dll|msi|elf)\b/ nocase",),
    ),
    Signal(
        "cheap-domain",
        "it names an address under a top-level domain that costs nearly nothing",
        (
            r"/https?:\/\/[a-z0-9.-]{1,60}\.(xyz|top|tk|ml|ga|cf|gq|icu|click|monster|lol|pw|su|cyou|rest|bid)[\/:'\"]/ nocase",
        ),
    ),
    Signal(
        "address-service",
        "it asks a service what this machine's address is",
        (
            r"/(api(64)?\.ipify\.org|ifconfig\.(me|co|io)|ipinfo\.io|ip-api\.com|icanhazip\.com|ident\.me)/ nocase",
            r"/(ipapi\.co|checkip\.(amazonaws|dyndns)|myip\.|wtfismyip\.com|ip\.42\.pl|geolocation-db\.com|ipwhois)/ nocase",
        ),
    ),
    Signal("onion", "it names an address of the Tor network", (r"/[a-z2-7]{16,56}\.onion\b/", r'"torproject"')),
    # What is taken
    Signal(
        "browser-store",
        "it names the stores of browsers",
        (
            r"/User Data[\\\/]{1,4}(Default|Local State|Profile)/ nocase",
            r"/(Google|BraveSoftware|Yandex|Microsoft|Opera Software)[\\\/]{1,4}[A-Za-z -]{2,20}[\\\/]{1,4}User Data/ nocase",
            r"/['\"\\\/](Login Data|Web Data|Local State)['\"\\\/]/",
            r'"moz_cookies"',
            r"/(logins\.json|key4\.db|cookies\.sqlite)/",
            r'"os_crypt"',
            r'"CryptUnprotectData"',
            r'"browser_cookie3"',
        ),
    ),
    Signal(
        "wallet",
        "it names wallets",
        (
            r"/(exodus\.wallet|wallet\.dat|Electrum[\\\/]{1,4}wallets|Ethereum[\\\/]{1,4}keystore)/ nocase",
            r"/(metamask|atomic wallet|coinomi|phantom wallet|trust ?wallet|ledger live|jaxx)/ nocase",
            r"/\b(mnemonic|seed_?phrase|private_?key|secret_?key|keypair)\b/ nocase",
        ),
    ),
    Signal(
        "crypto-address",
        "it has an address or an address pattern of a cryptocurrency",
        (
            r"/['\"](bc1[a-z0-9]{25,60}|0x[0-9a-fA-F]{40}|4[0-9AB][1-9A-HJ-NP-Za-km-z]{93})['\"]/",
            r"/\{2[0-9],3[0-9]\}\$/",
            r"/\[a-km-zA-HJ-NP-Z1-9\]/",
        ),
    ),
    Signal(
        "messenger-token",
        "it looks for the tokens of messengers or games",
        (
            r"/\[\\w-\]\{2[0-9](,[0-9]+)?\}\\\.\[\\w-\]\{6\}\\\./",
            r"/leveldb/ nocase",
            r"/discord(canary|ptb)\b/ nocase",
            r"/\btdata\b/",
            r"/(users\/@me|\.ROBLOSECURITY|mfa\\?\.\[)/",
            r"/launcher_(accounts|profiles)\.json/",
        ),
    ),
    Signal(
        "keys-on-disk",
        "it names files with keys or passwords",
        (
            r"/\.ssh[\\\/'\"]|\bid_(rsa|ed25519|ecdsa|dsa)\b|authorized_keys/",
            r"/\.aws[\\\/]credentials|\.kube[\\\/]config|\.docker[\\\/]config|\.git-credentials|\.config[\\\/]gcloud/",
            r"/\.netrc\b|\.pypirc|\.npmrc|\.bash_history|\.zsh_history|\.gnupg/",
            r"/\/etc\/(shadow|passwd)\b/",
            r'"169.254.169.254"',
        ),
    ),
    Signal(
        "whole-environment",
        "it takes the whole environment",
        (
            r"/(dict|str|repr|json\.dumps|list)\(\s*(dict\()?os\.environ\s*[,)]/",
            r"/os\.environ\.(items|copy)\(\)/",
            r"/\b(printenv|env\s*\|\s*(curl|base64))\b/",
            r"/=\s*os\.environ\s*[,)\n]/",
        ),
    ),
    Signal(
        "identity",
        "it asks who and where the machine is",
        (
            r"/socket\.(gethostname|getfqdn)\(|platform\.(node|uname)\(|getpass\.getuser\(|os\.getlogin\(|uuid\.getnode\(/",
            r"/\b(whoami|systeminfo|ipconfig|ifconfig|hostnamectl)\b/",
            r"/wmic (csproduct|path|cpu|bios|os)/ nocase",
            r"/\bos\.uname\(\)|os\.getcwd\(\)/",
        ),
    ),
    Signal(
        "clipboard",
        "it reads or replaces the clipboard",
        (
            r'"pyperclip"',
            r'"win32clipboard"',
            r"/\b(Open|Set|Get)Clipboard(Data)?\b/",
            r"/\b(xclip|pbpaste|xsel)\b/",
            r'"clipboard_get"',
        ),
    ),
    Signal(
        "keys-typed",
        "it watches the keyboard",
        (
            r"/\bpynput\b/",
            r"/keyboard\.(on_press|on_release|hook|record)\b/",
            r"/\b(GetAsyncKeyState|SetWindowsHookEx[AW]?)\b/",
            r"/\bkeylog/ nocase",
        ),
    ),
    Signal(
        "screen-taken",
        "it takes pictures of the screen, the camera or the microphone",
        (
            r"/\bImageGrab\b/",
            r"/\bmss\.mss\(/",
            r"/pyautogui\.screenshot/",
            r"/VideoCapture\(0/",
            r"/\bsounddevice\b|\bpyaudio\b/ nocase",
        ),
    ),
    # How it stays
    Signal(
        "run-key",
        "it names a registry key that starts programs",
        (
            r"/CurrentVersion[\\\/]{1,4}Run\b/ nocase",
            r"/reg(\.exe)? add HK/ nocase",
            r"/Winlogon[\\\/]{1,4}(Shell|Userinit)/ nocase",
        ),
    ),
    Signal(
        "startup-folder",
        "it names the start-up folder",
        (
            r"/Start Menu[\\\/]{1,4}Programs[\\\/]{1,4}Startup/ nocase",
            r"/shell:startup/ nocase",
            r"/Programs[\\\/]{1,4}Startup/ nocase",
        ),
    ),
    Signal(
        "autostart",
        "it names timers, services or shell profiles that start programs",
        (
            r"/\bcrontab\b|\/etc\/cron|@reboot/",
            r"/systemctl (--user )?(enable|daemon-reload)|\/etc\/systemd\/system|\.config\/systemd/",
            r"/LaunchAgents|LaunchDaemons/",
            r"/\/etc\/(rc\.local|profile\.d|ld\.so\.preload)|\.(bashrc|zshrc|bash_profile|profile)\b|\.config\/autostart/",
            r"/schtasks(\.exe)?\b/ nocase",
        ),
    ),
    # What is run, and how
    Signal(
        "powershell",
        "it uses PowerShell",
        (r"/powershell(\.exe)?\b/ nocase",),
    ),
    Signal(
        "powershell-hidden",
        "it uses PowerShell with flags that hide what runs",
        (
            r"/powershell[^\n]{0,80}\s-(e|ec|enc|encodedcommand)\b/ nocase",
            r"/-w(indow(style)?)?\s+['\"]?(hidden|1)\b/ nocase",
            r"/-(ep|exec|executionpolicy)\s+['\"]?bypass/ nocase",
            r"/\b(iex|invoke-expression|downloadstring|frombase64string)\b/ nocase",
            r"/-nop(rofile)?\b[^\n]{0,40}-/ nocase",
        ),
    ),
    Signal(
        "hidden-window",
        "it starts processes without a window",
        (
            r"/CREATE_NO_WINDOW|0x0?8000000\b|\bSW_HIDE\b|DETACHED_PROCESS|STARTF_USESHOWWINDOW/",
            r"/ShowWindow\([^)]{0,60},\s*0\)/",
            r"/nohup [^\n]{0,100}&|> ?\/dev\/null 2>&1 ?&/",
            r"/pythonw(\.exe)?\b/ nocase",
            r"/start_new_session\s*=\s*True|preexec_fn\s*=\s*os\.setsid/",
        ),
    ),
    Signal(
        "own-tools",
        "it uses programs of the system that fetch or run other code",
        (
            r"/\b(mshta|bitsadmin|regsvr32|rundll32|wscript|cscript|msiexec|installutil)(\.exe)?\b/ nocase",
            r"/certutil(\.exe)?\s+-(urlcache|decode)/ nocase",
            r"/\bcurl(\.exe)?\s+-|\bwget\s+(-|http)/",
            r"/invoke-webrequest|start-bitstransfer|\biwr\b/ nocase",
        ),
    ),
    Signal(
        "shell-over-network",
        "it has the words of a shell over the network",
        (
            r"/\/dev\/tcp\//",
            r"/\bnc(at)?\s+(-[a-z]*e|[0-9a-z.]+\s+[0-9]+\s+-e)/",
            r"/bash\s+-i\b|\bpty\.spawn\(/",
            r"/os\.dup2\(\s*\w+\.fileno\(\)/",
            r"/\b(reverse|bind)_?shell\b/ nocase",
            r"/Net\.Sockets\.TCPClient/ nocase",
        ),
    ),
    Signal(
        "injection",
        "it uses the functions by which code is put into other processes",
        (
            r"/\b(VirtualAlloc(Ex)?|WriteProcessMemory|CreateRemoteThread|RtlMoveMemory|VirtualProtect(Ex)?|QueueUserAPC)\b/",
            r"/\b(NtCreateThreadEx|NtAllocateVirtualMemory|EnumSystemLocales[AW]?|CreateThread|memfd_create)\b/",
            r"/\bshellcode\b/ nocase",
        ),
    ),
    Signal(
        "watched",
        "it looks whether it is being watched, or switches protection off",
        (
            r"/\b(vmtoolsd|vmwaretray|vboxservice|vboxtray|vboxguest|vmsrvc|xenservice|qemu-ga|joeboxserver)\b/ nocase",
            r"/\b(processhacker|httpdebugger|wireshark|ollydbg|x64dbg|x32dbg|fiddler|ida64|sandboxie)\b/ nocase",
            r"/IsDebuggerPresent|CheckRemoteDebuggerPresent|sys\.gettrace\(\)\s*(is not None|!=|:)/",
            r"/Set-MpPreference|DisableRealtimeMonitoring|Add-MpPreference|netsh advfirewall|DisableTaskMgr/ nocase",
            r"/\b(anti_?(debug|vm|virus|spy)|VMProtect|blacklisted_?(users|hwids?|pcs?))\b/ nocase",
        ),
    ),
    Signal(
        "miner",
        "it has the words of a miner",
        (r"/stratum\+(tcp|ssl):/", r"/\b(xmrig|minerd|cpuminer|nanopool|minexmr|supportxmr)\b/ nocase"),
    ),
    Signal(
        "dropped",
        "it names folders for temporary or roaming files",
        (
            r"/%(temp|tmp|appdata|localappdata|programdata|userprofile)%/ nocase",
            r"/['\"](TEMP|APPDATA|LOCALAPPDATA|ProgramData)['\"]/",
            r"/\$env:(temp|appdata|tmp)/ nocase",
            r"/tempfile\.(gettempdir|mkstemp|mkdtemp|NamedTemporaryFile)/",
            r"/['\"]\/(tmp|var\/tmp|dev\/shm)\//",
        ),
    ),
    Signal(
        "made-executable",
        "it makes a file executable",
        (r"/chmod\s+(\+x|[0-7]?7[0-7][0-7]|a\+x|u\+x)/", r"/os\.chmod\([^\n]{1,80}(0o?7[0-7][0-7]|S_IX|S_IEXEC)/"),
    ),
    Signal(
        "installs-more",
        "it installs other distributions while it runs",
        (
            r"/['\"]-m['\"],\s*['\"]pip['\"],\s*['\"]install/",
            r"/pip3?(\.exe)? install\b/",
            r"/\bpip(\._internal)?(\.cli)?(\.main)?(\.| import )main\b/",
            r"/\bpipmain\b/",
        ),
    ),
    # How it is hidden
    Signal(
        "encoded-program",
        "it has an encoded program in it",
        (
            r"/\bTV[qpro][QAB][A-Za-z0-9+\/]{40}/",
            r"/\bf0VMR[A-Za-z0-9+\/]{40}/",
            r'"H4sIA"',
            r"/4d5a[0-9a-f]{2}000[0-9a-f]{40}/ nocase",
        ),
    ),
    Signal(
        "encoded-source",
        "it has encoded source or addresses in it",
        (
            r"/(aW1wb3J0I|ZnJvbS|ZXhlYy|aHR0c|cG93ZXJzaGVsb|b3Muc3lzdGVt|c3VicHJvY2Vzcy)[A-Za-z0-9+\/]{12}/",
            r"/(eJ[wxyz0-9]|QlpoO|\/Td6WFo)[A-Za-z0-9+\/]{60}/",
            r"/gAAAAAB[A-Za-z0-9_-]{60}/",
            r"/696d706f7274[0-9a-f]{20}/ nocase",
        ),
    ),
    Signal(
        "unpacked-and-run",
        "it unpacks and runs in one line",
        (
            r"/\b(exec|eval)\s*\(\s*(compile\s*\()?\s*(__import__|base64|zlib|marshal|codecs|bytes\.fromhex|b64decode|decompress)/",
            r"/\bmarshal\.loads\s*\(/",
            r"/lambda\s+_{1,4}\s*:\s*__import__/",
            r"/__import__\(\s*['\"](zlib|base64|marshal|codecs|builtins)['\"]\s*\)/",
            r"/__pyarmor(_vax_[0-9]+)?__|\bpyarmor_runtime\b|pytransform/",
            r"/\bexec\s*\(\s*(\w+\.)?(get|post|urlopen|request)\s*\(/",
            r"/\bexec\s*\(\s*\w{0,20}\(?[\"']?\.?join\b|exec\s*\(\s*[\"']{2}\.join/",
            r"/Fernet\([^\n]{1,100}\)\.decrypt\(/",
        ),
    ),
    Signal(
        "hidden-names",
        "it puts together the names of what it uses",
        (
            r"/(getattr|globals|locals|vars)\s*\([^)\n]{0,40}\)?[\[,]\s*['\"](\\x|[a-z]{1,6}['\"]\s*\+)/",
            r"/\bchr\(\s*[0-9]{2,3}\s*\)\s*\+\s*chr\(/",
            r"/\[::-1\]\s*\)/",
            r"/\b_0x[0-9a-f]{4,}\b/",
            r"/\b[OI0l]{12,}\b/",
            r"/\b_{4,}[^_\W]?_*\s*=/",
            r"/(\\x[0-9a-f]{2}){12,}/ nocase",
            r"/(\\u[0-9a-f]{4}){8,}/ nocase",
            r"/(\\[0-7]{3}){12,}/",
            r"/map\s*\(\s*chr\s*,|join\s*\(\s*\[?\s*chr\s*\(/",
        ),
    ),
    Signal(
        "installer-hooked",
        "it replaces a step of the installation",
        (
            r"/\bcmdclass\s*=/",
            r"/class\s+\w+\(\s*(_?install|develop|egg_info|build_py|sdist|bdist_egg)\s*\)/",
            r"/\b(install|develop|egg_info)\.run\(\s*self/",
            r"/\batexit\.register\(/",
        ),
    ),
    Signal(
        "silenced",
        "it keeps its errors to itself",
        (
            r"/except(\s+(Base)?Exception(\s+as\s+\w+)?)?\s*:\s*(\n\s*)?pass\b/",
            r"/contextlib\.suppress\(\s*(Base)?Exception/",
        ),
    ),
    Signal(
        "said-to-be-a-test",
        "it says that it is a test of security",
        (
            r"/dependency[ _-]?confusion|bug ?bounty|hackerone|proof[ -]of[ -]concept|security research|\bpentest/ nocase",
            r"/(for|purely) (educational|research|testing) (purposes|use)|ethical(ly)? hack|responsible disclosure/ nocase",
        ),
    ),
    Signal(
        "destroys",
        "it has the words of destruction or ransom",
        (
            r"/\brm\s+-rf?\s+(\/|~|\$HOME)/",
            r"/\bdel\s+\/[fsq]/ nocase",
            r"/format\s+c:/ nocase",
            r"/\b(ransom|your files (have been|are) encrypted)\b/ nocase",
            r"/\bshutdown\s+[-\/](s|r|h)\b/",
            r"/os\.kill\(\s*os\.getppid|vssadmin/ nocase",
        ),
    ),
)
BY_NAME = {signal.name: signal for signal in SIGNALS}
