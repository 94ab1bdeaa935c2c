"""Strategies for job documents of every kind: valid, almost valid, and invalid."""

import base64
import hashlib
from typing import Any

from fuzzing import JSON, NAMES, SCALARS, TEXT, mangled
from hypothesis import strategies as st

from chip import IMAGE

DATA = "<data>"
"""Stands for the folder that jobs may write."""

CONTENT = b"content of a file\n" * 300
_DIGEST = hashlib.sha256(CONTENT).hexdigest()



def handed_in(path: str) -> dict[str, Any]:
    """A valid entry for a file, except perhaps for its path."""
    return {"path": path, "url": "http://files/x", "sha256": _DIGEST}


ESCAPES = [
    "/etc/passwd", "/settings.json", "settings.json", "../settings.json", DATA + "/../settings.json", DATA + "/..",
    DATA + "/", DATA + "/.", DATA + "//x", DATA + "/a/../../settings.json", DATA + "/a\0b", DATA + "/a\nb",
    DATA + "x/y",
    DATA + "/" + "n" * 300, DATA + "/" + "/".join(["d"] * 150), DATA + "/a\\..\\..\\b", "~/x", "/proc/self/mem", "",
    "\uff0f" + DATA, "/" + DATA + "/x", DATA + "/x/", "./x", "C:\\x", DATA + "/../journal/record",
    DATA + "/../app/app.py",
]
"""Paths that lead out of the folder that jobs may write, or that are not plain."""
WRONG_PATHS = st.one_of(st.sampled_from(ESCAPES), TEXT.map(lambda text: DATA + "/" + text), TEXT, JSON)
PATHS = st.one_of(
    st.sampled_from([DATA + "/new", DATA + "/old", DATA + "/deep/er/new"]), st.just(DATA + "/new"), WRONG_PATHS,
    st.sampled_from([DATA, DATA + "/old/x", DATA + "/%2e%2e/x", DATA + "/\u2024\u2024/x", DATA + "/..x/.y"]),
)
INSIDE = st.one_of(
    st.sampled_from(["app.py", "lib/part.py", "app.py/x"]), st.sampled_from(["app.py", "main.mpy"]),
    st.sampled_from(["../settings.json", "/settings.json", "lib/../../x", "", ".", "x/", "a\0b", "..", "\\..\\x"]),
    TEXT,
)
SECRET = "X-Amz-Signature=0f1e2d3c"
"""What no line and no status detail may show: in URLs, and as a setting."""
URLS = st.one_of(
    st.just("http://files/x?" + SECRET), st.just("http://files/x?" + SECRET),
    st.sampled_from(["https://files/x?", "http://a b/?", "http://a:-1/?", "ftp://a/?"]).map(lambda url: url + SECRET),
    st.sampled_from(["https://files/x", "http://", "ftp://x/y", "http://a b/", "http://a:99999/", "http://a:-1/"]),
    TEXT,
)
SIZES = st.sampled_from([len(CONTENT), len(CONTENT), 0, -1, 10**12, len(CONTENT) - 1])


def sources(paths: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Entries for files."""
    by_url = {"path": paths, "sha256": st.just(_DIGEST), "url": URLS}
    by_stream = {
        "path": paths, "sha256": st.just(_DIGEST), "stream": TEXT, "file": st.integers(-1, 300), "size": SIZES,
        "signature": st.just(base64.b64encode(b"x").decode()),
    }
    return st.one_of(
        mangled(st.fixed_dictionaries(by_url, optional={"size": SIZES})), st.fixed_dictionaries(by_url),
        mangled(st.fixed_dictionaries(by_stream)), JSON,
    )


FILES = st.fixed_dictionaries(
    {"operation": st.just("files")},
    optional={
        "fetch": st.lists(sources(PATHS), min_size=1, max_size=3), "delete": st.lists(PATHS, min_size=1, max_size=3),
        "list": PATHS, "read": PATHS,
    },
)
APP = st.fixed_dictionaries(
    {"operation": st.just("app"), "version": TEXT, "files": st.lists(sources(INSIDE), min_size=1, max_size=2)},
    optional={"base": URLS, "stream": TEXT},
)
FIRMWARE = st.fixed_dictionaries(
    {
        "operation": st.just("firmware"), "url": URLS, "size": st.sampled_from([len(IMAGE), len(IMAGE), 0, 1 << 22]),
        "sha256": st.just(hashlib.sha256(IMAGE).hexdigest()),
    },
    optional={"version": TEXT | JSON},
)
OVER_THE_AIR = st.fixed_dictionaries(
    {
        "afr_ota": mangled(
            st.fixed_dictionaries(
                {
                    "protocols": st.lists(st.sampled_from(["MQTT", "HTTP"])), "streamname": TEXT,
                    "files": st.lists(
                        mangled(
                            st.fixed_dictionaries(
                                {
                                    "filepath": TEXT, "filesize": st.integers(-1, 9999), "fileid": st.integers(-1, 3),
                                    "sig-sha256-ecdsa": TEXT, "update_data_url": URLS,
                                }
                            )
                        ),
                        max_size=2,
                    ),
                }
            )
        )
    }
)
SETTINGS = st.fixed_dictionaries(
    {"operation": st.just("settings")},
    optional={
        "set": st.dictionaries(
            st.sampled_from(["host", "wifi", "thing", "new"]) | NAMES,
            JSON | st.sampled_from([SECRET, {"ssid": "barn", "password": SECRET}]), max_size=3,
        ),
        "remove": st.lists(st.sampled_from(["host", "wifi", "thing"]) | JSON, max_size=3),
    },
)
CALL = st.fixed_dictionaries(
    {"operation": st.just("call"), "function": st.sampled_from(["echo", "wait", "none", "__init__"])},
    optional={"arguments": st.lists(JSON, max_size=3) | st.dictionaries(NAMES, JSON, max_size=3)},
)
ACTIONS = mangled(
    st.fixed_dictionaries(
        {
            "name": TEXT, "type": st.sampled_from(["runHandler", "runHandler", "runCommand"]),
            "input": mangled(
                st.fixed_dictionaries(
                    {
                        "handler": st.sampled_from(["reboot", "download-file", "echo.sh", "wait", "..", "steps"]),
                        "args": st.tuples(URLS, PATHS).map(list) | st.lists(SCALARS, max_size=3),
                        "command": st.sampled_from(["echo,1", ",", "wait"]),
                    }
                )
            ),
        },
        optional={"ignoreStepFailure": st.sampled_from(["true", "false"])},
    )
)
STEPS = st.fixed_dictionaries(
    {
        "version": st.just("1.0"),
        "steps": st.lists(st.fixed_dictionaries({"action": ACTIONS}), min_size=1, max_size=3)
        | st.lists(mangled(st.fixed_dictionaries({"action": ACTIONS})) | JSON, max_size=40),
    },
    optional={"finalStep": st.fixed_dictionaries({"action": ACTIONS})},
)
OPERATIONS = st.fixed_dictionaries(
    {"operation": JSON | st.sampled_from(["reboot", "__class__", "ujobs.agent", "files "])}
)

SAY = st.fixed_dictionaries(
    {"operation": st.just("say"), "details": JSON | st.dictionaries(TEXT | NAMES, JSON | st.just("x"), max_size=11)},
    optional={"progress": JSON, "message": JSON},
)

KINDS = {
    "files": mangled(FILES), "app": mangled(APP), "firmware": mangled(FIRMWARE), "over the air": OVER_THE_AIR,
    "settings": mangled(SETTINGS), "call": mangled(CALL), "steps": mangled(STEPS), "say": mangled(SAY),
    "others": mangled(OPERATIONS) | JSON,
}
"""Strategies for documents, by what they are to be."""


def at(folder: str, value: Any) -> Any:
    """Insert the real path of the writable folder into a document."""
    if isinstance(value, str):
        return value.replace(DATA, folder)
    if isinstance(value, dict):
        return {name: at(folder, inner) for name, inner in value.items()}
    if isinstance(value, list) and len(str(value)) < 100000:
        return [at(folder, inner) for inner in value]
    return value
