"""An environment for each client library, because two of them install a package of the same name.

ib_async and ibind live in the project's own environment. The others are installed when they are first wanted, from
requirements with hashes, into `.clients/` under the project's root.
"""

import fcntl
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".clients"
CLIENTS = ("ib_async", "ib_insync", "ibapi")


def interpreter(client: str) -> Path:
    """Return the Python that has the client library; makes its environment if it is missing or out of date.

    Several test runs may ask at the same time. Raises CalledProcessError if pip cannot install.
    """
    if client in ("ib_async", "ibind"):
        return Path(sys.executable)
    requirements = Path(__file__).parent / "requirements" / f"{client}.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    folder = FOLDER / client
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{client}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / "requirements.sha256"
        if not made.exists() or made.read_text() != wanted:
            venv.create(folder, clear=True, with_pip=True)
            command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes"]
            subprocess.run([*command, "-r", requirements], check=True)  # noqa: S603 - our own command
            made.write_text(wanted)
    return folder / "bin" / "python"
