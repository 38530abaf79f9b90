"""`millrace backtest` as a person types it: one run, what is stored of it, and what is said about wrong input."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

ROOT = Path(__file__).parents[3]
MONTHS = ("--from", "2012-06-01", "--to", "2012-08-31", "--symbols", "AAPL,IBM")


def millrace(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code, and all that was printed."""
    options = ("--config", str(ROOT / "config")) if words[0].startswith("-") else ()
    done = CliRunner().invoke(app, ["backtest", *words, *options, "--results", str(folder)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_run_is_shown_stored_listed_and_compared(tmp_path: Path) -> None:
    ids: list[str] = []
    for more in ((), ("--set", "stop.fraction=0.02"), ("--gear", "fast")):
        code, text = millrace(tmp_path, "--strategy", "moving_average_crossover", *MONTHS, *more)
        assert code == 0, text
        ids.append(re.search(r"result (\w+)", text)[1])  # type: ignore[index]
        assert "Sharpe" in text
        assert "At mid prices" in text
        assert "Assumptions" in text
        assert "moving_average_crossover" in (tmp_path / ids[-1] / "report.html").read_text()
    assert all(name in millrace(tmp_path, "list")[1] for name in ids)
    code, text = millrace(tmp_path, "show", ids[0][:5])
    assert (code, ids[0] in text) == (0, True)
    code, text = millrace(tmp_path, "compare", ids[0], ids[1])
    assert code == 0
    assert "stop.fraction" in text
    assert "Trades only in" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--strategy", "nope"), "unknown strategy 'nope'; known: bear_rally, breakout"),
        (("--strategy", "breakout", "--set", "channel=1"), "parameters.channel = 1 is not allowed"),
        (("--strategy", "breakout", "--set", "channel"), "write KEY=VALUE"),
        (("--strategy", "breakout", "--gear", "fast", "--fills", "simulator"), "use fills = bars"),
        (("--strategy", "breakout", "--risk", "max_positions=0"), "risk.max_positions = 0 is not allowed"),
        (("--strategy", "high_base", "--fills", "bars"), "fills = bars has no options; use fills = simulator"),
        (("--strategy", "breakout", "--symbols", "XYZ"), "XYZ"),
        (("--strategy", "breakout", "--data", "nowhere"), "nowhere"),
    ],
)
def test_wrong_input_is_named_with_what_is_allowed(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    code, text = millrace(tmp_path, *MONTHS, *words)
    assert code != 0
    assert told in text.replace("\n", " ")
    assert not list(tmp_path.iterdir()), "nothing is left of a run that was refused"


def test_an_id_that_is_not_there(tmp_path: Path) -> None:
    code, text = millrace(tmp_path, "show", "abc")
    assert code != 0
    assert "abc" in text


def test_a_folder_that_can_t_be_written_is_named_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, text = millrace(tmp_path / "file" / "results", "--strategy", "moving_average_crossover", *MONTHS)
    assert code == 1
    assert f"{tmp_path}/file/results: Not a directory; name a file or folder" in text.replace("\n", "")
