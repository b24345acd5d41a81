"""Reading the sources into one list of given values, strongest first, with what was ignored and what was wrong."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from stageport.settings.config_file import resolve_provider
from stageport.settings.names import (
    APPLICATION_NAMES,
    APPLICATION_PREFIX,
    KUBERNETES_LINK,
    LISTENER,
    OCEAN_PREFIX,
    OWN_PREFIX,
    SHORT_NAMES,
    Node,
    leaves,
    no_effect_reason,
    ocean_name,
    own_names,
    settings_tree,
)
from stageport.settings.origin import Given, Ignored, Origin, Path, Source, dotted

Resolve = Callable[[object], object]


@dataclass(slots=True)
class Collected:
    """What was found so far. Of two values for one setting the first given counts: add the strongest source first."""

    given: list[Given] = field(default_factory=list)
    ignored: list[Ignored] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def collect_options(found: Collected, options: Mapping[str, object]) -> None:
    """Add what the command line gave, by dotted path (``port.base_url``); None stands for "not given"."""
    for name, value in options.items():
        origin = Origin(Source.COMMAND_LINE)
        _descend(found, settings_tree(), tuple(name.split(".")), value=value, origin=origin)


def collect_variables(found: Collected, variables: Mapping[str, str], *, source: Source) -> None:
    """Add environment variables, family by family: ``STAGEPORT_``, then Ocean's, then the short names."""
    upper = {name.upper(): (name, value) for name, value in sorted(variables.items())}
    _collect_flat(found, upper, names=own_names(), source=source)
    _collect_flat(found, upper, names=APPLICATION_NAMES, source=source)
    _collect_ocean(found, upper, source=source)
    _collect_flat(found, upper, names=SHORT_NAMES, source=source)
    found.ignored.extend(_strays(upper, source=source))


def collect_file(found: Collected, content: object, *, name: str, variables: Mapping[str, str]) -> None:
    """Add a config file, its ``{{ from env NAME }}`` resolved."""
    if not isinstance(content, Mapping):
        found.problems.append(f"{name} should hold settings as `name: value`, not {type(content).__name__}")
        return

    def resolve(value: object) -> object:
        return resolve_provider(value, variables=variables)

    for key, value in content.items():
        origin = Origin(Source.FILE, name)
        _descend(found, settings_tree(), (str(key),), value=value, origin=origin, resolve=resolve)


def _collect_flat(
    found: Collected, upper: Mapping[str, tuple[str, str]], *, names: Mapping[str, Path], source: Source
) -> None:
    for known, path in names.items():
        if known in upper:
            name, value = upper[known]
            _descend(found, settings_tree(), path, value=value, origin=Origin(source, name))


def _collect_ocean(found: Collected, upper: Mapping[str, tuple[str, str]], *, source: Source) -> None:
    """Add ``OCEAN__…``, deeper names first: ``OCEAN__PORT__CLIENT_ID`` beats the JSON in ``OCEAN__PORT``."""
    oceans = [known for known in upper if known.startswith(OCEAN_PREFIX)]
    for known in sorted(oceans, key=lambda each: -each.count("__")):
        name, value = upper[known]
        parts = tuple(known.removeprefix(OCEAN_PREFIX).split("__"))
        _descend(found, settings_tree(), parts, value=value, origin=Origin(source, name))


def _descend(
    found: Collected, node: Node, parts: Path, *, value: object, origin: Origin, resolve: Resolve = lambda value: value
) -> None:
    """Walk down the known names and take the value, or all values, found at the end."""
    for index, part in enumerate(parts):
        child = node.child(part)
        if child is None:
            found.ignored.append(_unknown((*node.path, *parts[index:]), origin=_within(origin, node, parts[index:])))
            return
        node = child
    try:
        value = resolve(value)
    except ValueError as error:
        found.problems.append(f"{dotted(node.path)} ({_within(origin, node)}) {error}")
        return
    value = value.strip() if isinstance(value, str) else value  # secrets read from a file end in a newline
    if value is None or value == "":
        return  # compose files and CI jobs pass unset variables on as empty ones
    if node.children:
        _open(found, node, value=value, origin=origin, resolve=resolve)
    else:
        found.given.append(Given(node.path, value, _within(origin, node)))


def _open(found: Collected, node: Node, *, value: object, origin: Origin, resolve: Resolve) -> None:
    """Take every value of a section, which may be written as JSON."""
    if node.path == LISTENER and isinstance(value, str) and not value.lstrip().startswith("{"):
        value = {"type": value}
    try:
        section = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        section = None
    if not isinstance(section, Mapping):
        found.problems.append(f"{dotted(node.path)} ({_within(origin, node)}) should be {_form(node, origin)}")
        return
    for key, inner in section.items():
        _descend(found, node, (str(key),), value=inner, origin=origin, resolve=resolve)


def _form(node: Node, origin: Origin) -> str:
    """Say how a section is written where this one was: a file has lines below it, a variable has JSON."""
    name = next(iter(node.children.values())).path[-1]
    if origin.source is Source.FILE:
        return f"a section: its own settings on the lines below, indented, such as `{name}: ...`"
    return "a JSON object"


def _within(origin: Origin, node: Node, rest: Path = ()) -> Origin:
    """Name the place inside a file, which as a whole has only one name."""
    if origin.source is not Source.FILE:
        return origin
    return Origin(Source.FILE, f"{origin.name}: {dotted((*node.path, *rest))}")


def _unknown(path: Path, *, origin: Origin) -> Ignored:
    reason = no_effect_reason(path)
    if reason:
        return Ignored(origin, f"has no effect here: {reason}")
    by_path = origin.source in {Source.FILE, Source.COMMAND_LINE}
    known = {(dotted(leaf.path) if by_path else ocean_name(leaf.path)): leaf.path for leaf in leaves()}
    written = dotted(path).lower() if by_path else (OCEAN_PREFIX + "__".join(path)).upper()
    return Ignored(origin, _suggestion(written, tuple(known)))


def _suggestion(written: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(written, known, n=1, cutoff=0.85)
    return f"unknown; did you mean {near[0]}?" if near else "unknown"


def _strays(upper: Mapping[str, tuple[str, str]], *, source: Source) -> Iterator[Ignored]:
    """Name the variables that look like ours and are not."""
    known = {*own_names(), *APPLICATION_NAMES, *SHORT_NAMES}
    oceans = tuple(ocean_name(leaf.path) for leaf in leaves())
    for name in upper:
        if name in known or name.startswith(OCEAN_PREFIX) or KUBERNETES_LINK.fullmatch(name):
            continue
        origin = Origin(source, upper[name][0])
        if name.startswith(OWN_PREFIX):
            yield Ignored(origin, _suggestion(name, tuple(own_names())))
        elif name.startswith(APPLICATION_PREFIX):
            yield _application(name, origin=origin)
        elif name.startswith(("OCEAN_", "PORT_", "BACKSTAGE_")):
            reason = _suggestion(name, (*oceans, *SHORT_NAMES))
            if reason != "unknown":  # other programs have variables that begin so, too
                yield Ignored(origin, reason)


def _application(name: str, *, origin: Origin) -> Ignored:
    reason = no_effect_reason((name.removeprefix(APPLICATION_PREFIX),))
    return Ignored(origin, f"has no effect here: {reason}" if reason else _suggestion(name, tuple(APPLICATION_NAMES)))
