"""What `--vary` may ask for, whether the command line or a stored run asks: settings, values, how many."""

import re
from collections.abc import Collection, Sequence

from bench.errors import UsageError
from bench.model import Varied
from bench.model.from_outside import is_line, is_name
from bench.model.variants import how_many

MOST_VARIANTS = 24
EXAMPLE = "onnx:THREADS=1,2"
# a picture's legend leaves out what begins with an underscore
SETTING = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
STANZA = "add a service to compose.yaml for each value"
# where a service listens, and what and where its model is: bench and compose.yaml say this
PLACES = re.compile(
    r"HOST|PORT|MODEL_CACHE_DIR|LOCAL_STORE|MANIFEST_URI|STORAGE_EMULATOR_HOST|(?:[A-Z0-9_]+_)?MODEL_URI"
)
# a container gets a GPU by --device alone, and of services that can compute there
DEVICES = re.compile(r"DEVICE|(?:CUDA|NVIDIA|HIP|ROCR)_VISIBLE_DEVICES")
# a run.json from elsewhere could name any file with these
LOADED = re.compile(r"PATH|(?:LD|DYLD)_\w+|PYTHON(?:PATH|HOME|STARTUP|USERBASE)|BASH_ENV")
# run.json and every report say what is varied; a setting that is refused for nothing costs a stanza
SECRET = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|PUSHGATEWAY|(?:API|ACCESS|PRIVATE|SIGNING|ENCRYPTION)_?KEY"
    r"|(?:^|_)(?:PASS|PWD|JWT|COOKIES?|AUTH|AUTHN|AUTHORI[SZ]ATION|DSN)(?:_|$)"
    r"|TOKEN(?:_?[0-9]+|_ID|_VALUE)?$|(?:^|_)KEYS?(?:_ID)?$"
)
# within a value: the names of options, and names of what follows
NAMED = re.compile(r"--([\w-]+)|([\w-]+)(?=[=:])")
USER_AT = re.compile(r":.*@|@.*:")


def require_varied(found: Sequence[Varied], attached: Collection[str]) -> None:
    """Raise UsageError for what may not vary, for a setting given twice, and for too many variants.

    `attached` has the names of services that run already. Nothing is crossed before it is counted.
    """
    seen = set()
    for one in found:
        fault = fault_of(one)
        if fault:
            raise UsageError(fault)
        key = one.strategy, one.setting
        if key in seen:
            raise UsageError(
                f"--vary names {one.strategy}:{one.setting} twice: give all its values at once, {EXAMPLE}"
            )
        seen.add(key)
        if one.strategy in attached:
            raise UsageError(
                f"--vary cannot set {one.setting} of {one.strategy}, which runs already: start it yourself "
                "with each value, and give each a --url"
            )
    number = how_many(found)
    if number > MOST_VARIANTS:
        raise UsageError(
            f"--vary makes {number} variants, and {MOST_VARIANTS} are the most: leave out values, or measure "
            "settings one after another"
        )


def fault_of(one: Varied) -> str:
    """Why it may not vary, with the remedy; empty if it may."""
    if not is_name(one.strategy):
        return f"{one.strategy!r} is not a strategy's name: write {EXAMPLE}"
    if not SETTING.fullmatch(one.setting):
        return (
            f"{one.setting!r} is not an environment variable's name: write {EXAMPLE}, letters, digits and _"
        )
    return _reserved(one.setting) or _fault_of_values(one)


def is_reserved(name: str) -> bool:
    """Whether a setting is not to be varied: it says where things are, or may be secret."""
    return bool(_reserved(name))


def _reserved(name: str) -> str:
    told = name.upper()
    if SECRET.search(told):
        return f"{name} cannot vary, as it may be secret and run.json says what is varied: {STANZA}"
    if DEVICES.fullmatch(told):
        return (
            f"{name} cannot vary, as --device says where services compute: make a run with --device cpu and "
            "another with --device cuda, and compare them"
        )
    if PLACES.fullmatch(told):
        return f"{name} cannot vary, as it says where the service listens or where its model is: {STANZA}"
    if LOADED.fullmatch(told):
        return f"{name} cannot vary, as it says which files a program loads: {STANZA}"
    return ""


def _fault_of_values(one: Varied) -> str:
    target, values = f"{one.strategy}:{one.setting}", one.values
    if not any(values):
        return f"{target} has no values: write {EXAMPLE}"
    if not all(values):
        return f"{target} has an empty value: take away the comma that is too much"
    twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if twice is not None:
        return f"{target} has the value {twice[:60]} twice: leave out one"
    return next((fault for value in values if (fault := _fault_of_value(target, value))), "")


def _fault_of_value(target: str, value: str) -> str:
    if not is_line(value):
        return f"{value[:60]!r} is not one line of printable characters"
    if "://" in value:
        return f"{target} has an address, which no run.json keeps: {STANZA}"
    # not shown: it may be secret
    named = ["".join(pair).replace("-", "_").upper() for pair in NAMED.findall(value)]
    if USER_AT.search(value) or any(map(SECRET.search, named)):
        return f"{target} has a value that may be secret, and run.json says what is varied: {STANZA}"
    return ""
