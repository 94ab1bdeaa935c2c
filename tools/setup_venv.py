"""Make .venv, or replace one that no longer works, and install packages into it: `make setup` and `make test` run this.

    python3 tools/setup_venv.py requirements.txt

Written for old Pythons, too, so that the message about them can be printed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PIP = [str(VENV / "bin" / "python"), "-m", "pip"]
NETWORK = ("NewConnectionError", "establish a new connection", "name resolution", "ProxyError", "from versions: none")


def main(requirements):
    """Set up with the Python that runs this."""
    os.chdir(str(ROOT))
    _check_python()
    if VENV.exists() and not _works():
        print(".venv is of another Python or another folder: it is replaced", flush=True)
        shutil.rmtree(str(VENV))
    total = len(_packages(requirements))
    print(
        "set-up: up to %d packages are downloaded and installed into .venv. This takes two to five minutes, once"
        % total, flush=True,
    )
    if not VENV.exists():
        _make()
    _install(total, "-r", requirements)
    _install(1, "--no-deps", "-e", ".")


def _check_python():
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    names = ["python3.%d" % minor for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    found = [name for name in names if shutil.which(name) and not subprocess.call([name, "-c", ""], stderr=-3)]
    advice = "make setup PYTHON=%s" % (found[0] if found else "python3.12, once that is installed")
    sys.exit(
        "%s is Python %d.%d, and ujobs needs 3.11 to 3.13: name one, as in %s"
        % (sys.executable, sys.version_info[0], sys.version_info[1], advice)
    )


def _works():
    """Whether .venv runs, was made in this folder, and has a Python that ujobs supports."""
    question = "import pip, sys; print(sys.prefix, *sys.version_info[:2], sep='|')"
    try:
        said = subprocess.run([PIP[0], "-c", question], stdout=-1, stderr=-3, check=True).stdout.decode()
        scripts = (VENV / "bin" / "pip").read_bytes()[:1000]
    except (OSError, subprocess.CalledProcessError):
        return False
    prefix, major, minor = said.strip().split("|")
    own = prefix == str(VENV) and str(VENV).encode() in scripts
    return own and OLDEST <= (int(major), int(minor)) <= NEWEST


def _make():
    if subprocess.call([sys.executable, "-m", "venv", str(VENV)]):
        shutil.rmtree(str(VENV), ignore_errors=True)
        sys.exit("%s cannot make .venv: its message is above (Debian: apt install python3-venv)" % sys.executable)


def _packages(requirements):
    lines = [line.split("#")[0].strip() for line in Path(requirements).read_text().splitlines()]
    found = [line for line in lines if line and not line.startswith("-r")]
    for line in lines:
        if line.startswith("-r"):
            found += _packages(line[2:].strip())
    return found


def _name(what):
    """Return the name of a package from a requirement, such as click==8.5.1, or from the path of a wheel."""
    return what.split("/")[-1].split("=")[0].split("-")[0] if what.endswith(".whl") else what.split("=")[0]


def _install(total, *what):
    """pip install with a line for each package, and its whole output only if it fails."""
    command = [*PIP, "install", "--no-compile", "--no-input", "--retries", "2", "--disable-pip-version-check", *what]
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, count = [], 0
    for raw in pip.stdout or ():
        line = raw.decode(errors="replace").rstrip()
        said.append(line)
        if line.startswith(("Collecting ", "Processing ")):  # the second: a file on this machine
            count += 1
            print("  %d of %d: %s" % (count, max(count, total), _name(line.split()[1])), flush=True)
        elif line.startswith("Installing collected"):
            print("  unpacking them: about a minute without further lines", flush=True)
        elif line.startswith("WARNING: Retrying"):
            print("  the package index does not answer yet", flush=True)
    if pip.wait():
        print("\n".join(said[-20:]))
        if any(word in line for line in said for word in NETWORK):
            sys.exit("pip reaches no package index: set-up needs the network, or an index that pip is configured for")
        sys.exit("pip could not install %s: its message is above" % what[-1])


if __name__ == "__main__":
    main(sys.argv[1])
