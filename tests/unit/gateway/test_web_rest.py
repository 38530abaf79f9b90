"""What an HTTP answer of the Client Portal Gateway is taken for."""

from types import SimpleNamespace

import pytest
import requests

from services.gateway.adapters.web.rest import LONGEST_PAGE, Answer, _answered


def answer(body: str, status: int = 200) -> Answer:
    response = requests.Response()
    response.status_code, response._content = status, body.encode()
    response.headers["Date"] = "Fri, 20 Nov 2026 15:30:00 GMT"
    told: Answer = _answered(response, SimpleNamespace()).data
    return told


def test_json_is_the_answer_and_the_date_the_brokers_clock() -> None:
    told = answer('{"orders": []}')
    assert (told.data, told.error, told.status) == ({"orders": []}, "", 0)
    assert told.time is not None
    assert told.time.isoformat() == "2026-11-20T15:30:00+00:00"


def test_an_error_in_a_good_answer_is_an_error() -> None:
    assert answer('{"error": "no such order"}').error == "no such order"


@pytest.mark.parametrize("status", [200, 502])
def test_a_page_is_never_an_empty_answer(status: int) -> None:
    told = answer("<html>please log in</html>" + "." * 1000, status)
    assert told.error.startswith("<html>please log in</html>")
    assert len(told.error) == LONGEST_PAGE


def test_an_empty_body_is_no_error() -> None:
    assert answer("").error == ""
