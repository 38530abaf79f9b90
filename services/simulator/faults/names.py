"""Checks that a script speaks of messages that exist."""

from difflib import get_close_matches

from services.simulator.faults.effects import RECONNECT, RELEASE, Hold, Send
from services.simulator.faults.model import Rule, Script
from services.simulator.wire import answers, requests
from services.simulator.wire.layout import known_names

_ANSWERS = {message.name: message for message in answers.MESSAGES}
_REQUESTS = frozenset(requests.NAMES.values())


def check(script: Script) -> None:
    """Raises ValueError that names the rule, the unknown name, and what may be meant."""
    for number, rule in enumerate(script.rules, 1):
        try:
            _check_rule(rule)
        except ValueError as error:
            raise ValueError(f"rule {number}{f' ({rule.name})' if rule.name else ''}: {error}") from None


def _check_rule(rule: Rule) -> None:
    known = _REQUESTS if rule.when.receives else frozenset(_ANSWERS)
    for name in rule.when.names:
        if name != "*":
            _known("when.receives" if rule.when.receives else "when.sends", name, known)
    for effect in rule.do:
        if isinstance(effect, Hold):
            _known("hold.until", effect.until, frozenset(_ANSWERS) | {RECONNECT, RELEASE})
        elif isinstance(effect, Send):
            _known("send.message", effect.message, frozenset(_ANSWERS))
            for name in effect.fields:
                _known("send.fields", name, known_names(_ANSWERS[effect.message].layout))


def _known(where: str, name: str, known: frozenset[str]) -> None:
    if name not in known:
        close = get_close_matches(name, sorted(known), 3, 0.4) or sorted(known)[:3]
        raise ValueError(f"{where}: {name!r} is not known; did you mean {', '.join(close)}?")
