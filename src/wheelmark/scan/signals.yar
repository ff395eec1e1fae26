/*
Signals: words and bytes that the model weighs and that mean nothing by themselves. A clipboard is read by editors, a
registry key is set by installers: signals are no findings, each becomes a feature by when the code around it runs.
They name classes of behaviour and of services, never a project, an author or a campaign. `says` is a clause for people.
*/


// Where things are sent to, and fetched from

rule webhook {
    meta:
        says = "it names a messenger's webhook or bot"
    strings:
        $s1 = /discord(app)?\.com\/api\/(v[0-9]+\/)?webhooks/ nocase
        $s2 = "hooks.slack.com" nocase
        $s3 = "api.telegram.org" nocase
        $s4 = "dhooks"
        $s5 = "discord_webhook"
        $s6 = "SyncWebhook"
    condition:
        any of them
}

rule capture_host {
    meta:
        says = "it names a service that shows its owner whatever is sent there"
    strings:
        $s1 = /[\/.@](oast\.(pro|live|site|online|fun|me)|interact\.sh|interactsh\.com|burpcollaborator\.net)/ nocase
        $s2 = /[\/.@](oastify\.com|dnslog\.(cn|pw|link)|ceye\.io|requestbin\.(com|net)|requestcatcher\.com)/ nocase
        $s3 = /[\/.@](pipedream\.net|webhook\.site|beeceptor\.com|canarytokens\.com|hookbin\.com|bxss\.(me|in))/ nocase
        $s4 = /[\/.@](requestrepo\.com|ngrok\.(io|app|dev)|ngrok-free\.app|m\.pipedream)/ nocase
    condition:
        any of them
}

rule paste {
    meta:
        says = "it names a paste service's raw text"
    strings:
        $s1 = /(pastebin\.com\/raw|paste\.ee\/r\/|hastebin\.com\/raw|rentry\.(co|org)\/|paste\.rs\/|ghostbin\.)/ nocase
        $s2 = /(pastie\.|dpaste\.|controlc\.com|textbin\.net|paste\.c-net\.org|pastes\.io|p\.ip\.fi)/ nocase
    condition:
        any of them
}

rule drop_host {
    meta:
        says = "it names a host of files that anybody can leave there"
    strings:
        $s1 = /((cdn|media)\.discordapp\.(com|net)\/attachments|transfer\.sh|anonfiles?\.com|gofile\.io|temp\.sh)/ nocase
        $s2 = /(catbox\.moe|dropboxusercontent\.com|filebin\.net|file\.io\/|bashupload\.com|0x0\.st|oshi\.at)/ nocase
        $s3 = /(dropbox\.com\/s|mediafire\.com\/file|mega\.nz\/file|drive\.google\.com\/uc|filetransfer\.io)/ nocase
    condition:
        any of them
}

rule free_host {
    meta:
        says = "it names an address on a free hosting service or a tunnel"
    strings:
        $s1 = /https?:\/\/[a-z0-9.-]{1,60}\.(trycloudflare\.com|repl\.(co|dev)|replit\.(app|dev)|glitch\.me|loca\.lt)/ nocase
        $s2 = /https?:\/\/[a-z0-9.-]{1,60}\.(000webhostapp\.com|herokuapp\.com|onrender\.com|vercel\.app|workers\.dev)/ nocase
        $s3 = /https?:\/\/[a-z0-9.-]{1,60}\.(pythonanywhere\.com|netlify\.app|duckdns\.org|ddns\.net|serveo\.net)/ nocase
        $s4 = /https?:\/\/[a-z0-9.-]{1,60}\.(lhr\.life|portmap\.io|web\.app|firebaseio\.com|deno\.dev|fly\.dev)/ nocase
    condition:
        any of them
}

rule code_host {
    meta:
        says = "it fetches raw files of a code host"
    strings:
        $s1 = "raw.githubusercontent.com"
        $s2 = "gist.githubusercontent.com"
        $s3 = /github\.com\/[^\s'"]{3,100}\/raw\//
    condition:
        any of them
}

rule number_host {
    meta:
        says = "it names a machine by its number"
    strings:
        $s1 = /https?:\/\/([2-9]|1[1-9]|[1-9][0-9]|1[013-9][0-9]|2[0-9]{2})\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}[:\/'"]/
    condition:
        any of them
}

rule program_address {
    meta:
        says = "it names the address of a program"
    strings:
        $s1 = /https?:\/\/[^\s'"<>)]{4,200}\.(exe|scr|bat|ps1|vbs|hta|dll|msi|elf)\b/ nocase
    condition:
        any of them
}

rule cheap_domain {
    meta:
        says = "it names an address under a top-level domain that costs nearly nothing"
    strings:
        $s1 = /https?:\/\/[a-z0-9.-]{1,60}\.(xyz|top|tk|ml|ga|cf|gq|icu|click|monster|lol|pw|su|cyou|rest|bid)[\/:'"]/ nocase
    condition:
        any of them
}

rule address_service {
    meta:
        says = "it asks a service what this machine's address is"
    strings:
        $s1 = /(api(64)?\.ipify\.org|ifconfig\.(me|co|io)|ipinfo\.io|ip-api\.com|icanhazip\.com|ident\.me)/ nocase
        $s2 = /(ipapi\.co|checkip\.(amazonaws|dyndns)|myip\.|wtfismyip\.com|ip\.42\.pl|geolocation-db\.com|ipwhois)/ nocase
    condition:
        any of them
}

rule onion {
    meta:
        says = "it names an address of the Tor network"
    strings:
        $s1 = /[a-z2-7]{16,56}\.onion\b/
        $s2 = "torproject"
    condition:
        any of them
}


// What is taken

rule browser_store {
    meta:
        says = "it names the stores of browsers"
    strings:
        $s1 = /User Data[\\\/]{1,4}(Default|Local State|Profile)/ nocase
        $s2 = /(Google|BraveSoftware|Yandex|Microsoft|Opera Software)[\\\/]{1,4}[A-Za-z -]{2,20}[\\\/]{1,4}User Data/ nocase
        $s3 = /['"\\\/](Login Data|Web Data|Local State)['"\\\/]/
        $s4 = "moz_cookies"
        $s5 = /(logins\.json|key4\.db|cookies\.sqlite)/
        $s6 = "os_crypt"
        $s7 = "CryptUnprotectData"
        $s8 = "browser_cookie3"
    condition:
        any of them
}

rule wallet {
    meta:
        says = "it names wallets"
    strings:
        $s1 = /(exodus\.wallet|wallet\.dat|Electrum[\\\/]{1,4}wallets|Ethereum[\\\/]{1,4}keystore)/ nocase
        $s2 = /(metamask|atomic wallet|coinomi|phantom wallet|trust ?wallet|ledger live|jaxx)/ nocase
        $s3 = /\b(mnemonic|seed_?phrase|private_?key|secret_?key|keypair)\b/ nocase
    condition:
        any of them
}

rule crypto_address {
    meta:
        says = "it has an address or an address pattern of a cryptocurrency"
    strings:
        $s1 = /['"](bc1[a-z0-9]{25,60}|0x[0-9a-fA-F]{40}|4[0-9AB][1-9A-HJ-NP-Za-km-z]{93})['"]/
        $s2 = /\{2[0-9],3[0-9]\}\$/
        $s3 = /\[a-km-zA-HJ-NP-Z1-9\]/
    condition:
        any of them
}

rule messenger_token {
    meta:
        says = "it looks for the tokens of messengers or games"
    strings:
        $s1 = /\[\\w-\]\{2[0-9](,[0-9]+)?\}\\\.\[\\w-\]\{6\}\\\./
        $s2 = /leveldb/ nocase
        $s3 = /discord(canary|ptb)\b/ nocase
        $s4 = /\btdata\b/
        $s5 = /(users\/@me|\.ROBLOSECURITY|mfa\\?\.\[)/
        $s6 = /launcher_(accounts|profiles)\.json/
    condition:
        any of them
}

rule keys_on_disk {
    meta:
        says = "it names files with keys or passwords"
    strings:
        $s1 = /\.ssh[\\\/'"]|\bid_(rsa|ed25519|ecdsa|dsa)\b|authorized_keys/
        $s2 = /\.aws[\\\/]credentials|\.kube[\\\/]config|\.docker[\\\/]config|\.git-credentials|\.config[\\\/]gcloud/
        $s3 = /\.netrc\b|\.pypirc|\.npmrc|\.bash_history|\.zsh_history|\.gnupg/
        $s4 = /\/etc\/(shadow|passwd)\b/
        $s5 = "169.254.169.254"
    condition:
        any of them
}

rule whole_environment {
    meta:
        says = "it takes the whole environment"
    strings:
        $s1 = /(dict|str|repr|json\.dumps|list)\(\s*(dict\()?os\.environ\s*[,)]/
        $s2 = /os\.environ\.(items|copy)\(\)/
        $s3 = /\b(printenv|env\s*\|\s*(curl|base64))\b/
        $s4 = /=\s*os\.environ\s*[,)\n]/
    condition:
        any of them
}

rule identity {
    meta:
        says = "it asks who and where the machine is"
    strings:
        $s1 = /socket\.(gethostname|getfqdn)\(|platform\.(node|uname)\(|getpass\.getuser\(|os\.getlogin\(|uuid\.getnode\(/
        $s2 = /\b(whoami|systeminfo|ipconfig|ifconfig|hostnamectl)\b/
        $s3 = /wmic (csproduct|path|cpu|bios|os)/ nocase
        $s4 = /\bos\.uname\(\)|os\.getcwd\(\)/
    condition:
        any of them
}

rule clipboard {
    meta:
        says = "it reads or replaces the clipboard"
    strings:
        $s1 = "pyperclip"
        $s2 = "win32clipboard"
        $s3 = /\b(Open|Set|Get)Clipboard(Data)?\b/
        $s4 = /\b(xclip|pbpaste|xsel)\b/
        $s5 = "clipboard_get"
    condition:
        any of them
}

rule keys_typed {
    meta:
        says = "it watches the keyboard"
    strings:
        $s1 = /\bpynput\b/
        $s2 = /keyboard\.(on_press|on_release|hook|record)\b/
        $s3 = /\b(GetAsyncKeyState|SetWindowsHookEx[AW]?)\b/
        $s4 = /\bkeylog/ nocase
    condition:
        any of them
}

rule screen_taken {
    meta:
        says = "it takes pictures of the screen, the camera or the microphone"
    strings:
        $s1 = /\bImageGrab\b/
        $s2 = /\bmss\.mss\(/
        $s3 = /pyautogui\.screenshot/
        $s4 = /VideoCapture\(0/
        $s5 = /\bsounddevice\b|\bpyaudio\b/ nocase
    condition:
        any of them
}


// How it stays

rule run_key {
    meta:
        says = "it names a registry key that starts programs"
    strings:
        $s1 = /CurrentVersion[\\\/]{1,4}Run\b/ nocase
        $s2 = /reg(\.exe)? add HK/ nocase
        $s3 = /Winlogon[\\\/]{1,4}(Shell|Userinit)/ nocase
    condition:
        any of them
}

rule startup_folder {
    meta:
        says = "it names the start-up folder"
    strings:
        $s1 = /Start Menu[\\\/]{1,4}Programs[\\\/]{1,4}Startup/ nocase
        $s2 = /shell:startup/ nocase
        $s3 = /Programs[\\\/]{1,4}Startup/ nocase
    condition:
        any of them
}

rule autostart {
    meta:
        says = "it names timers, services or shell profiles that start programs"
    strings:
        $s1 = /\bcrontab\b|\/etc\/cron|@reboot/
        $s2 = /systemctl (--user )?(enable|daemon-reload)|\/etc\/systemd\/system|\.config\/systemd/
        $s3 = /LaunchAgents|LaunchDaemons/
        $s4 = /\/etc\/(rc\.local|profile\.d|ld\.so\.preload)|\.(bashrc|zshrc|bash_profile|profile)\b|\.config\/autostart/
        $s5 = /schtasks(\.exe)?\b/ nocase
    condition:
        any of them
}


// What is run, and how

rule powershell {
    meta:
        says = "it uses PowerShell"
    strings:
        $s1 = /powershell(\.exe)?\b/ nocase
    condition:
        any of them
}

rule powershell_hidden {
    meta:
        says = "it uses PowerShell with flags that hide what runs"
    strings:
        $s1 = /powershell[^\n]{0,80}\s-(e|ec|enc|encodedcommand)\b/ nocase
        $s2 = /-w(indow(style)?)?\s+['"]?(hidden|1)\b/ nocase
        $s3 = /-(ep|exec|executionpolicy)\s+['"]?bypass/ nocase
        $s4 = /\b(iex|invoke-expression|downloadstring|frombase64string)\b/ nocase
        $s5 = /-nop(rofile)?\b[^\n]{0,40}-/ nocase
    condition:
        any of them
}

rule hidden_window {
    meta:
        says = "it starts processes without a window"
    strings:
        $s1 = /CREATE_NO_WINDOW|0x0?8000000\b|\bSW_HIDE\b|DETACHED_PROCESS|STARTF_USESHOWWINDOW/
        $s2 = /ShowWindow\([^)]{0,60},\s*0\)/
        $s3 = /nohup [^\n]{0,100}&|> ?\/dev\/null 2>&1 ?&/
        $s4 = /pythonw(\.exe)?\b/ nocase
        $s5 = /start_new_session\s*=\s*True|preexec_fn\s*=\s*os\.setsid/
    condition:
        any of them
}

rule own_tools {
    meta:
        says = "it uses programs of the system that fetch or run other code"
    strings:
        $s1 = /\b(mshta|bitsadmin|regsvr32|rundll32|wscript|cscript|msiexec|installutil)(\.exe)?\b/ nocase
        $s2 = /certutil(\.exe)?\s+-(urlcache|decode)/ nocase
        $s3 = /\bcurl(\.exe)?\s+-|\bwget\s+(-|http)/
        $s4 = /invoke-webrequest|start-bitstransfer|\biwr\b/ nocase
    condition:
        any of them
}

rule shell_over_network {
    meta:
        says = "it has the words of a shell over the network"
    strings:
        $s1 = /\/dev\/tcp\//
        $s2 = /\bnc(at)?\s+(-[a-z]*e|[0-9a-z.]+\s+[0-9]+\s+-e)/
        $s3 = /bash\s+-i\b|\bpty\.spawn\(/
        $s4 = /os\.dup2\(\s*\w+\.fileno\(\)/
        $s5 = /\b(reverse|bind)_?shell\b/ nocase
        $s6 = /Net\.Sockets\.TCPClient/ nocase
    condition:
        any of them
}

rule injection {
    meta:
        says = "it uses the functions by which code is put into other processes"
    strings:
        $s1 = /\b(VirtualAlloc(Ex)?|WriteProcessMemory|CreateRemoteThread|RtlMoveMemory|VirtualProtect(Ex)?|QueueUserAPC)\b/
        $s2 = /\b(NtCreateThreadEx|NtAllocateVirtualMemory|EnumSystemLocales[AW]?|CreateThread|memfd_create)\b/
        $s3 = /\bshellcode\b/ nocase
    condition:
        any of them
}

rule watched {
    meta:
        says = "it looks whether it is being watched, or switches protection off"
    strings:
        $s1 = /\b(vmtoolsd|vmwaretray|vboxservice|vboxtray|vboxguest|vmsrvc|xenservice|qemu-ga|joeboxserver)\b/ nocase
        $s2 = /\b(processhacker|httpdebugger|wireshark|ollydbg|x64dbg|x32dbg|fiddler|ida64|sandboxie)\b/ nocase
        $s3 = /IsDebuggerPresent|CheckRemoteDebuggerPresent|sys\.gettrace\(\)\s*(is not None|!=|:)/
        $s4 = /Set-MpPreference|DisableRealtimeMonitoring|Add-MpPreference|netsh advfirewall|DisableTaskMgr/ nocase
        $s5 = /\b(anti_?(debug|vm|virus|spy)|VMProtect|blacklisted_?(users|hwids?|pcs?))\b/ nocase
    condition:
        any of them
}

rule miner {
    meta:
        says = "it has the words of a miner"
    strings:
        $s1 = /stratum\+(tcp|ssl):/
        $s2 = /\b(xmrig|minerd|cpuminer|nanopool|minexmr|supportxmr)\b/ nocase
    condition:
        any of them
}

rule dropped {
    meta:
        says = "it names folders for temporary or roaming files"
    strings:
        $s1 = /%(temp|tmp|appdata|localappdata|programdata|userprofile)%/ nocase
        $s2 = /['"](TEMP|APPDATA|LOCALAPPDATA|ProgramData)['"]/
        $s3 = /\$env:(temp|appdata|tmp)/ nocase
        $s4 = /tempfile\.(gettempdir|mkstemp|mkdtemp|NamedTemporaryFile)/
        $s5 = /['"]\/(tmp|var\/tmp|dev\/shm)\//
    condition:
        any of them
}

rule made_executable {
    meta:
        says = "it makes a file executable"
    strings:
        $s1 = /chmod\s+(\+x|[0-7]?7[0-7][0-7]|a\+x|u\+x)/
        $s2 = /os\.chmod\([^\n]{1,80}(0o?7[0-7][0-7]|S_IX|S_IEXEC)/
    condition:
        any of them
}

rule installs_more {
    meta:
        says = "it installs other distributions while it runs"
    strings:
        $s1 = /['"]-m['"],\s*['"]pip['"],\s*['"]install/
        $s2 = /pip3?(\.exe)? install\b/
        $s3 = /\bpip(\._internal)?(\.cli)?(\.main)?(\.| import )main\b/
        $s4 = /\bpipmain\b/
    condition:
        any of them
}


// How it is hidden

rule encoded_program {
    meta:
        says = "it has an encoded program in it"
    strings:
        $s1 = /\bTV[qpro][QAB][A-Za-z0-9+\/]{40}/
        $s2 = /\bf0VMR[A-Za-z0-9+\/]{40}/
        $s3 = "H4sIA"
        $s4 = /4d5a[0-9a-f]{2}000[0-9a-f]{40}/ nocase
    condition:
        any of them
}

rule encoded_source {
    meta:
        says = "it has encoded source or addresses in it"
    strings:
        $s1 = /(aW1wb3J0I|ZnJvbS|ZXhlYy|aHR0c|cG93ZXJzaGVsb|b3Muc3lzdGVt|c3VicHJvY2Vzcy)[A-Za-z0-9+\/]{12}/
        $s2 = /(eJ[wxyz0-9]|QlpoO|\/Td6WFo)[A-Za-z0-9+\/]{60}/
        $s3 = /gAAAAAB[A-Za-z0-9_-]{60}/
        $s4 = /696d706f7274[0-9a-f]{20}/ nocase
    condition:
        any of them
}

rule unpacked_and_run {
    meta:
        says = "it unpacks and runs in one line"
    strings:
        $s1 = /\b(exec|eval)\s*\(\s*(compile\s*\()?\s*(__import__|base64|zlib|marshal|codecs|bytes\.fromhex|b64decode|decompress)/
        $s2 = /\bmarshal\.loads\s*\(/
        $s3 = /lambda\s+_{1,4}\s*:\s*__import__/
        $s4 = /__import__\(\s*['"](zlib|base64|marshal|codecs|builtins)['"]\s*\)/
        $s5 = /__pyarmor(_vax_[0-9]+)?__|\bpyarmor_runtime\b|pytransform/
        $s6 = /\bexec\s*\(\s*(\w+\.)?(get|post|urlopen|request)\s*\(/
        $s7 = /\bexec\s*\(\s*\w{0,20}\(?["']?\.?join\b|exec\s*\(\s*["']{2}\.join/
        $s8 = /Fernet\([^\n]{1,100}\)\.decrypt\(/
    condition:
        any of them
}

rule hidden_names {
    meta:
        says = "it puts together the names of what it uses"
    strings:
        $s1 = /(getattr|globals|locals|vars)\s*\([^)\n]{0,40}\)?[\[,]\s*['"](\\x|[a-z]{1,6}['"]\s*\+)/
        $s2 = /\bchr\(\s*[0-9]{2,3}\s*\)\s*\+\s*chr\(/
        $s3 = /\[::-1\]\s*\)/
        $s4 = /\b_0x[0-9a-f]{4,}\b/
        $s5 = /\b[OI0l]{12,}\b/
        $s6 = /\b_{4,}[^_\W]?_*\s*=/
        $s7 = /(\\x[0-9a-f]{2}){12,}/ nocase
        $s8 = /(\\u[0-9a-f]{4}){8,}/ nocase
        $s9 = /(\\[0-7]{3}){12,}/
        $s10 = /map\s*\(\s*chr\s*,|join\s*\(\s*\[?\s*chr\s*\(/
    condition:
        any of them
}

rule installer_hooked {
    meta:
        says = "it replaces a step of the installation"
    strings:
        $s1 = /\bcmdclass\s*=/
        $s2 = /class\s+\w+\(\s*(_?install|develop|egg_info|build_py|sdist|bdist_egg)\s*\)/
        $s3 = /\b(install|develop|egg_info)\.run\(\s*self/
        $s4 = /\batexit\.register\(/
    condition:
        any of them
}

rule silenced {
    meta:
        says = "it keeps its errors to itself"
    strings:
        $s1 = /except(\s+(Base)?Exception(\s+as\s+\w+)?)?\s*:\s*(\n\s*)?pass\b/
        $s2 = /contextlib\.suppress\(\s*(Base)?Exception/
    condition:
        any of them
}

rule said_to_be_a_test {
    meta:
        says = "it says that it is a test of security"
    strings:
        $s1 = /dependency[ _-]?confusion|bug ?bounty|hackerone|proof[ -]of[ -]concept|security research|\bpentest/ nocase
        $s2 = /(for|purely) (educational|research|testing) (purposes|use)|ethical(ly)? hack|responsible disclosure/ nocase
    condition:
        any of them
}

rule destroys {
    meta:
        says = "it has the words of destruction or ransom"
    strings:
        $s1 = /\brm\s+-rf?\s+(\/|~|\$HOME)/
        $s2 = /\bdel\s+\/[fsq]/ nocase
        $s3 = /format\s+c:/ nocase
        $s4 = /\b(ransom|your files (have been|are) encrypted)\b/ nocase
        $s5 = /\bshutdown\s+[-\/](s|r|h)\b/
        $s6 = /os\.kill\(\s*os\.getppid|vssadmin/ nocase
    condition:
        any of them
}
