"""How numbers, times and tables look on a terminal."""

import os
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shared.calendar import NEW_YORK

DEFAULT_DATA_FOLDER = Path(".data")


def moment(time: datetime) -> str:
    """Exchange time, to the second."""
    return f"{time.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}"


def money(value: Decimal) -> str:
    """USD, to the cent; a price below the cent keeps its digits."""
    return f"{value:,.2f}" if value == round(value, 2) else f"{value.normalize():,f}"


def rounded(value: Decimal) -> str:
    """USD, rounded to the cent, for averages."""
    return f"{value:,.2f}"


def signed(value: Decimal) -> str:
    """USD, to the cent, with its sign."""
    return f"{value:+,.2f}"


def number(value: Decimal) -> str:
    """A quantity without trailing zeros."""
    return f"{value.normalize():,f}"


def plain_table(*columns: str, right: Sequence[str] = (), wrap: Sequence[str] = ()) -> Table:
    """A table without boxes; columns in `right` are aligned to the right, only those in `wrap` take several lines."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column not in wrap)
    return table


def folder_option(data_folder: Path) -> str:
    """What to add to a command so that it finds this copy."""
    shown = os.path.relpath(data_folder) if data_folder.is_relative_to(Path.cwd()) else str(data_folder)
    return "" if shown == str(DEFAULT_DATA_FOLDER) else f" --data-folder {shown}"


def command() -> str:
    """How this command was called, so that what is printed can be pasted."""
    name = Path(sys.argv[0])
    if shutil.which(name.name) == str(name):
        return name.name
    return os.path.relpath(name) if name.is_file() else "millrace"


def make_console() -> Console:
    """As wide as the terminal; wide enough for every table where the output goes to a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else 180)
