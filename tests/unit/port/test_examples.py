import copy

import pytest

from stageport.model.entities import Json
from stageport.port.examples import MASK, mask_secrets

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.abcdefg"


@pytest.mark.parametrize(
    "key",
    ["token", "accessToken", "password", "DB_PASSWORD", "client-secret", "api_key", "x.io/apiKey", "Authorization",
     "privateKey", "credentials", "set-cookie"],
)  # fmt: skip
def test_values_of_keys_that_name_a_secret_are_masked(key: str) -> None:
    assert mask_secrets({"spec": {key: "hunter2"}}) == {"spec": {key: MASK}}


@pytest.mark.parametrize("key", ["owner", "author", "authority", "type", "keyboard", "passport", "tags", "tokyo"])
def test_other_keys_are_not(key: str) -> None:
    assert mask_secrets({key: "value"}) == {key: "value"}


def test_everything_below_such_a_key_is_masked_and_its_shape_stays() -> None:
    secrets = {"secrets": {"a": ["x", 7, None, True, ""], "b": {"c": "d"}}}
    assert mask_secrets(secrets) == {"secrets": {"a": [MASK, MASK, None, True, ""], "b": {"c": MASK}}}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (JWT, MASK),
        (f"run with {JWT} please", f"run with {MASK} please"),
        ("ghp_" + "a" * 36, MASK),
        ("github_pat_" + "a" * 40, MASK),
        ("glpat-" + "a" * 20, MASK),
        ("xoxb-123456789012-abc", MASK),
        ("AKIAIOSFODNN7EXAMPLE", MASK),
        ("Authorization: Bearer abcdefgh123", f"Authorization: Bearer {MASK}"),
        ("https://user:hunter2@host/path", f"https://{MASK}@host/path"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", MASK),
    ],
)
def test_strings_shaped_like_a_secret_are_masked_wherever_they_stand(text: str, masked: str) -> None:
    assert mask_secrets({"metadata": {"annotations": {"note": text}}, "list": [text]}) == {
        "metadata": {"annotations": {"note": masked}},
        "list": [masked],
    }


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a:b@c",
        "url:https://github.com/org/repo/tree/main/",
        "component:default/token-service",
        "eyJ",
        "a bearer of bad news",
        "user@example.com",
        "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
    ],
)
def test_ordinary_strings_stay(text: str) -> None:
    assert mask_secrets({"a": text}) == {"a": text}


def test_the_entity_itself_is_left_alone() -> None:
    entity: Json = {"metadata": {"token": "x", "list": [{"password": "y"}]}, "n": 1, "f": 1.5, "none": None}
    before = copy.deepcopy(entity)
    masked = mask_secrets(entity)
    assert entity == before
    assert masked["n"] == 1
    assert masked["none"] is None


def test_a_long_text_takes_no_time() -> None:
    assert mask_secrets({"definition": "://" * 100_000})
