"""Who we are for Port: the integration's type, version and identifier, and the headers that carry them.

Port takes the hidden ``$datasource`` of an entity from the ``User-Agent`` of the request that wrote it, so its shape is
what makes entities ours, and what lets Stageport take over from Port's own integration in place. The version stands
in the middle so that ownership survives an upgrade: it is looked up by what comes before and after it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IntegrationIdentity:
    """The integration as it is registered at Port. ``identifier`` is the installation id."""

    type: str
    version: str
    identifier: str

    @property
    def user_agent(self) -> str:
        """The header of calls that write no entities."""
        return f"port-ocean/{self.type}/{self.version}/{self.identifier}"

    @property
    def exporter_agent(self) -> str:
        """The header of calls that read and write entities and blueprints."""
        return f"{self.user_agent}/exporter"

    @property
    def datasource_prefix(self) -> str:
        """How the ``$datasource`` of all that is ours begins."""
        return f"port-ocean/{self.type}/"

    @property
    def datasource_suffix(self) -> str:
        """How the ``$datasource`` of all that is ours ends."""
        return f"/{self.identifier}/exporter"
