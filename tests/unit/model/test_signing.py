"""Standard Webhooks: the example of the specification, and everything that is no signature."""

import base64

import pytest

from stageport.model.signing import is_message_id, is_signed, is_timestamp, parse_keys, sign

# The example that the libraries of Standard Webhooks are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = {"message_id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "timestamp": "1614265330", "body": b'{"test": 2432232314}'}
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()


def test_the_example_of_the_specification() -> None:
    (key,) = parse_keys(SECRET)
    assert sign(key, **MESSAGE) == SIGNATURE
    assert is_signed([key], SIGNATURE, **MESSAGE)


def test_one_of_several_signatures_and_one_of_several_secrets_is_enough() -> None:
    keys = parse_keys(f"{OTHER} {SECRET}")
    assert len(keys) == 2
    assert is_signed(keys, f"v1,bm9uc2Vuc2U= v2,whatever {SIGNATURE}", **MESSAGE)


@pytest.mark.parametrize(
    "given",
    ["", " ", "v1,", SIGNATURE[:-1], SIGNATURE.removeprefix("v1,"), SIGNATURE.replace("v1", "v2"), "v1,é", "\udcff"],
)
def test_anything_else_is_no_signature(given: str) -> None:
    assert not is_signed(parse_keys(SECRET), given, **MESSAGE)


@pytest.mark.parametrize("part", ["message_id", "timestamp", "body"])
def test_every_part_is_signed(part: str) -> None:
    changed = {**MESSAGE, part: b"{}" if part == "body" else "1"}
    assert not is_signed(parse_keys(SECRET), SIGNATURE, **changed)


def test_signatures_beyond_the_first_eight_are_not_looked_at() -> None:
    assert not is_signed(parse_keys(SECRET), " ".join(["v1,x"] * 8 + [SIGNATURE]), **MESSAGE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "secret",
        "whsec_",
        "whsec_!!!",
        "whsec_c2hvcnQ=",
        base64.b64encode(b"x" * 32).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        f"{SECRET} whsec_c2hvcnQ=",
    ],
)
def test_what_is_no_secret_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and") as caught:
        parse_keys(text)
    assert "c2hvcnQ" not in str(caught.value)


@pytest.mark.parametrize("text", ["msg_1", "a" * 128, "0b0e-4c:/+="])
def test_what_is_an_id(text: str) -> None:
    assert is_message_id(text)


@pytest.mark.parametrize("text", ["", "a.b", "a b", "a" * 129, "é", "a\n"])
def test_what_is_no_id(text: str) -> None:
    assert not is_message_id(text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e9", "٣", " 1", "1\n", "1" * 13])
def test_what_is_no_timestamp(text: str) -> None:
    assert not is_timestamp(text)
