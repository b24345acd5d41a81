"""``stageport run``: always on. What the container starts."""

from stageport.cli.options import BackstageUrl, ConfigFile, Identifier, PortUrl, overrides


def run(
    config: ConfigFile = None,
    backstage_url: BackstageUrl = None,
    port_url: PortUrl = None,
    identifier: Identifier = None,
) -> int:
    """Keep Port in step with Backstage for as long as the process lives.

    Acts by the event listener of the settings, as Port's own integration
    does: POLLING (Port's Resync button and edits of the mapping), KAFKA (its
    change log), WEBHOOK, ONCE. Beside it, changes in Backstage are looked for
    every few seconds. SIGTERM ends it in good order, SIGHUP reads the settings
    again. /docs on its port lists what it answers.
    """
    from stageport.cli.serving import serve_by_settings

    given = overrides(backstage_url=backstage_url, port_url=port_url, identifier=identifier)
    return serve_by_settings(given, config=config)
