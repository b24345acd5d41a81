"""What the user decides: settings, read from several places, each value remembering where it came from.

Sources, strongest first: the command line, the environment, ``.env``, ``config.yaml``, defaults. Within the
environment (and ``.env``) there are three families of names, strongest first: our own ``STAGEPORT_…``, Ocean's
``OCEAN__…`` and ``APPLICATION__…``, and the short ones (``PORT_CLIENT_ID``, ``BACKSTAGE_URL``, …).
"""

from stageport.settings.access import BackstageAccess, Part, PortAccess, backstage_access, port_access, secrets_of
from stageport.settings.load import Loaded, SettingRow, load_settings, settings_rows
from stageport.settings.model import Settings
from stageport.settings.origin import Ignored, Origin, Source

__all__ = [
    "BackstageAccess",
    "Ignored",
    "Loaded",
    "Origin",
    "Part",
    "PortAccess",
    "SettingRow",
    "Settings",
    "Source",
    "backstage_access",
    "load_settings",
    "port_access",
    "secrets_of",
    "settings_rows",
]
