"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataFolder = Annotated[
    Path, typer.Option("--data-folder", envvar="MILLRACE_DATA_FOLDER", help="Where this copy keeps everything.")
]
