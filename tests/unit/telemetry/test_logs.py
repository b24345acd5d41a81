import io
import json
from collections.abc import Iterator

import pytest
import structlog

from stageport.model.changes import Change, Operation, Refusal
from stageport.model.events import ChangeRefused, Noticed, PageRead, PassEnded, PassStarted
from stageport.telemetry.logs import configure_logs, log_listener
from stageport.telemetry.redaction import HIDDEN, Redactor

SECRET = "s3cr3t-value-of-port"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logs(level="INFO", style="json", secrets=[SECRET, "abc"], stream=stream)
    yield stream
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_secret_value_is_hidden_wherever_it_stands(lines: io.StringIO) -> None:
    structlog.get_logger().info(f"sent {SECRET}", url=f"http://x/?key={SECRET}", nested={"deep": [SECRET]})
    assert SECRET not in lines.getvalue()
    (line,) = read(lines)
    assert line["event"] == f"sent {HIDDEN}"


@pytest.mark.parametrize("key", ["token", "clientSecret", "X-Api-Key", "Authorization", "db_password"])
def test_a_key_that_names_a_secret_hides_its_value(lines: io.StringIO, key: str) -> None:
    structlog.get_logger().info("headers", headers={key: "anything"})
    assert "anything" not in lines.getvalue()


def test_short_values_do_not_garble_ordinary_words() -> None:
    assert Redactor(["abc"]).text("abcdef") == "abcdef"


def test_what_a_person_would_read_is_logged_and_pages_are_not(lines: io.StringIO) -> None:
    listen = log_listener()
    listen(PassStarted("p1", ("component",)))
    listen(PageRead("component", 500, 1000))
    change = Change(Operation.CREATE, "component", "component:default/a")
    listen(ChangeRefused(change, Refusal(422, "blueprint_schema_mismatch", "no such property")))
    listen(Noticed("warning", "something odd"))
    assert [line["event"] for line in read(lines)] == ["pass started", "Port refused an entity", "something odd"]
    assert read(lines)[1]["entity"] == "component/component:default/a"


def test_the_end_of_a_pass_is_logged_but_not_of_a_delta_that_found_nothing(lines: io.StringIO) -> None:
    listen = log_listener()
    for kind, written in (("resync", 0), ("delta", 0), ("delta", 2)):
        listen(PassEnded(kind, "completed", 1.234, written=written, refused=0, held=0))
    assert [(line["kind"], line["written"], line["seconds"]) for line in read(lines)] == [
        ("resync", 0, 1.23),
        ("delta", 2, 1.23),
    ]


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    configure_logs(level="ERROR", style="text", stream=stream)
    log_listener()(Noticed("warning", "quiet"))
    structlog.reset_defaults()
    assert stream.getvalue() == ""
