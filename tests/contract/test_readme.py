"""What README.md says about the house is what the code says."""

import re
from pathlib import Path

from shared.streams import as_markdown

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block(name: str) -> str:
    """The text between the markers `<!-- name -->` and `<!-- /name -->`."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", README, re.DOTALL)
    assert found, f"README.md has lost its block {name}"
    return found[1]


def test_the_map_of_streams_is_the_registry() -> None:
    assert block("streams") == as_markdown(), "put the output of 'python -m shared.streams' between the markers"


def test_every_service_is_on_the_map() -> None:
    services = {folder.parent.name for folder in (ROOT / "services").glob("*/__main__.py")}
    listed = set(re.findall(r"^\| `(\w+)` \|", block("services"), re.MULTILINE))
    assert listed == services


def test_every_local_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target
