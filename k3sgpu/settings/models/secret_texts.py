"""Patterns for secrets: names of variables, logins and parameters of URLs, options of commands.

The patterns have no flags, because the JSON Schema uses them as well. Repetitions are bounded where a text
may be long: an unbounded one inside another would take minutes.
"""

import re
from collections.abc import Iterable

from k3sgpu.settings.models.grammar import ANYTHING, either_case


def _any(patterns: Iterable[str]) -> str:
    return f"(?:{'|'.join(patterns)})"


def _words(words: str) -> str:
    """A pattern for any of the words, in any case."""
    return _any(map(either_case, words.split()))


def _whole(word: str) -> str:
    """A pattern for a word that no letter of its own case follows: TOKEN, but not TOKENIZER or MAX_TOKENS."""
    capital = f"[{word[0].upper()}{word[0]}]{word[1:]}"
    return f"(?:{word.upper()}(?![A-Z])|{capital}(?![a-z])|{either_case(word)}(?![A-Za-z]))"


_ANYWHERE = "password passwords passwd passphrase secret secrets token credential credentials".split()
_KEY = _words("api private access signing encryption license licence ssh master account auth storage")
_PASS = _words("db pg sql mysql redis mongo smtp mail user admin root ldap ftp http mqtt ssh")
_SWITCH = _words("allow disable enable has is no require skip use with")
_NAMES_ABOUT = [
    f"_{either_case(word)}|{word.capitalize()}"
    for word in "count dir file length limit path size ttl type".split()
]
_NAMES = (
    f"{ANYTHING}{_any(map(_whole, _ANYWHERE))}{ANYTHING}",
    f"{ANYTHING}{_KEY}_?(?:{_whole('key')}|{_whole('keys')}){ANYTHING}",  # unlike PUBLIC_KEY and CACHE_KEY
    f"{ANYTHING}{either_case('connection')}_?{either_case('string')}{ANYTHING}",
    f"(?:{ANYTHING}_)?{_PASS}?{either_case('pass')}|{ANYTHING}[a-z0-9]Pass",  # unlike BYPASS and COMPASS
    f"{ANYTHING}(?:_{either_case('pwd')}|[a-z0-9]Pwd)",  # PWD alone is a folder
    f"(?!{_SWITCH}_)(?:{ANYTHING}(?:_|(?=[A-Z])))?{_words('auth authorization jwt bearer')}",  # not AUTH_MODE
    f"{ANYTHING}{_words('github gh gitlab gl devops azure')}_(?:{ANYTHING}_)?{either_case('pat')}",
    f"{ANYTHING}{either_case('docker')}_?{either_case('config')}_?{either_case('json')}",
)
SECRET_NAME = f"(?!{ANYTHING}{_any(_NAMES_ABOUT)}$){_any(_NAMES)}"
"""Names of variables that hold secrets; not of those that only describe one, such as PASSWORD_FILE."""

_VALUE = r"(?!\$[({])[^\s&]"
"""The start of a value that is no reference to another variable."""
_PARAMETER = (
    r"(?:[A-Za-z0-9_.-]{0,64}[_.-])?"
    + _words(
        "token secret password passwd passphrase pwd pass auth apikey api_key api-key accesskey access_key"
        " access-key key sig signature credential credentials jwt"
    )
    + f"={_VALUE}"
)
URL_LOGIN = rf"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*@{ANYTHING}"
"""A URL with a login name, with or without a password."""
URL_WITH_SECRET = rf"[A-Za-z][A-Za-z0-9+.-]*://{ANYTHING}[?&;#]{_PARAMETER}{ANYTHING}"
"""A URL with a parameter that holds a secret, such as ?token=… or &X-Amz-Signature=…."""
_SECRET_WORDS = _words(
    "password passwd passphrase apikey api-key api_key access-key access_key secret-key client-secret"
)
_TOKEN_OWNER = _words(
    "access api auth bearer bot gh github gitlab hf hub huggingface jupyter"
    " identityprovider notebookapp serverapp"
)
_NO_SECRET = (
    rf"--?[A-Za-z]|[\x22']?[$/@.]|\x22\x22|''|{_words('true false none yes no on off')}(?![A-Za-z0-9])"
)
"""Another option, a variable or a path, an empty text, a switch."""
_OPTION = (
    rf"--?(?!{_SWITCH}[_-])(?:(?:[A-Za-z0-9]{{1,32}}[._-]){{0,4}}{_SECRET_WORDS}"
    rf"|(?:{_TOKEN_OWNER}[._-])?{either_case('token')})"  # unlike --eos-token and --max-tokens
    rf"(?:=|[ \t]+)(?!{_NO_SECRET})[^\s&|;]"
)
"""An option of a command with a secret, such as --password=… or --hf-token …."""
_IN_TEXT = (
    rf"(?:^|[\s\x22'])(?:{_OPTION})",
    r"://[^\s/@:]{0,256}:(?!\$[({])(?![0-9]+[/?#])[^\s@]{1,256}@",  # a password may have a slash in it
    rf"{either_case('http')}[Ss]?://[A-Za-z0-9_.~%-]{{16,256}}@",  # a token instead of a login
    rf"[?&#]{_PARAMETER}",
    rf"(?:^|[;,\s]){_words('password pwd accountkey sharedaccesskey')}={_VALUE}",
    r"PRIVATE KEY-----",
)
TEXT_WITH_SECRET = f"{ANYTHING}{_any(_IN_TEXT)}{ANYTHING}"
"""A text with a secret in an option, in a URL or in a connection string, or with a PEM block."""


def may_hold_secret(text: str) -> bool:
    """Whether a text must not be shown: it may hold a password, even in a wrong or incomplete URL."""
    after_colon = text.partition(":")[2]
    return "@" in after_colon or bool(re.fullmatch(TEXT_WITH_SECRET, text))
