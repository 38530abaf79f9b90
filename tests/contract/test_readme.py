"""What README.md says about the house is what the code says."""

import re
import tomllib
from pathlib import Path

import numpy as np

from services.strategy.catalogue import make_instances
from services.strategy.config import Settings
from services.strategy.core.bars import Bars
from services.strategy.core.causality import check_causality
from shared.streams import as_markdown
from tests.conformance.counts import counts

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


def test_the_conformance_table_counts_the_cases() -> None:
    table = dict(re.findall(r"^\| (ib\w+) .* \| (\d+) \|$", block("conformance"), re.MULTILINE))
    assert table == {client: str(number) for client, number in counts().items()}


def test_every_local_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_the_strategy_it_shows_is_found_trades_and_does_not_look_ahead(tmp_path: Path) -> None:
    source, instance = re.search(r"```python\n(.*?)```.*?```toml\n(.*?)```", README, re.DOTALL).groups()  # type: ignore[union-attr]
    (tmp_path / "new_high.py").write_text(source)
    settings = Settings.model_validate(tomllib.loads(instance) | {"strategy_folder": tmp_path})
    (made,) = make_instances(settings, ("AAPL", "IBM"))
    random = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, 200)))
    days = np.arange(200).astype("datetime64[D]").astype("datetime64[us]")
    bars = Bars(days, close, close * 1.01, close * 0.99, close, np.full(200, 1e6))
    signals = made.strategy.generate_signals(bars)
    assert signals.entry.any()
    assert signals.exit.any()
    check_causality(made.strategy, bars)
