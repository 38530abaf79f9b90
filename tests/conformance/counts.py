"""How many cases this suite runs with each client: `python -m tests.conformance.counts`."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.conformance.environments import CLIENTS, ROOT


def counts() -> dict[str, int]:
    """Return the number of cases per client library, as pytest collects them. Raises CalledProcessError."""
    command = [sys.executable, "-m", "pytest", Path(__file__).parent, "--collect-only", "--quiet", "--no-header"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own command
    found = Counter(
        client
        for line in listing.splitlines()
        for client in CLIENTS
        if client in line.partition("[")[2].rstrip("]").split("-")
    )
    return {client: found[client] for client in CLIENTS}


def main() -> None:
    for client, number in counts().items():
        print(f"{client:12} {number:4}")  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    main()
