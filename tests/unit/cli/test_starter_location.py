import pytest
import yaml

from stageport.cli.starter import RESOURCES, starting_files
from stageport.mapping.defaults import default_blueprints, default_mapping


@pytest.mark.parametrize("location", [False, True])
def test_the_starting_files_say_what_the_defaults_say_with_kind_location_only_when_asked_for(location: bool) -> None:
    files = starting_files(location=location)
    sets = ("location",) if location else ()
    assert yaml.safe_load(files[f"{RESOURCES}/port-app-config.yaml"]) == default_mapping(sets=sets)
    assert yaml.safe_load(files[f"{RESOURCES}/blueprints.yaml"]) == default_blueprints(sets=sets)
