"""``python -m stageport``: the same as the ``stageport`` command."""

from stageport.cli.main import main

main()
