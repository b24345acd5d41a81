import pytest

from stageport.model.refs import TargetKey, parse_ref, source_ref


def test_a_ref_is_lower_cased_and_has_a_namespace() -> None:
    assert source_ref("API", None, "Pay") == "api:default/pay"
    assert source_ref("Component", "Retail", "Größe") == "component:retail/größe"


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("Component:default/Pay", "component:default/pay"),
        ("component:pay", "component:default/pay"),
        (" group:retail/x ", "group:retail/x"),
    ],
)
def test_people_may_leave_the_namespace_out(text: str, ref: str) -> None:
    assert parse_ref(text) == ref


def test_a_default_kind_fills_in() -> None:
    assert parse_ref("retail/x", default_kind="Group") == "group:retail/x"


@pytest.mark.parametrize("text", ["", "pay", "component:", "component:a/", ":a/b", "component:/b"])
def test_what_is_no_ref_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="kind:namespace/name"):
        parse_ref(text)


def test_a_target_key_reads_as_a_path() -> None:
    assert str(TargetKey("service", "pay")) == "service/pay"
