"""Ask the real Backstage every question of the contract anew, and keep what it answers.

    python -m tests.e2e.record_answers

For when a question is added, or Backstage is upgraded; read the difference before you commit it.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.contract.catalog_asking import Asked, Bearer, contract_descriptors
from tests.contract.catalog_contract import write_recorded_answers
from tests.contract.catalog_questions import QUESTIONS
from tests.e2e.harness import RealBackstage


async def answers_of(asked: Asked) -> dict[str, Any]:
    return {question.name: await asked.answer(question) for question in QUESTIONS}


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        backstage = RealBackstage(Path(home))
        try:
            backstage.start()
            backstage.apply(contract_descriptors())
            tokens = {
                Bearer.FULL: backstage.token,
                Bearer.DENIED: backstage.denied_token,
                Bearer.RESTRICTED: backstage.restricted_token,
            }
            write_recorded_answers(asyncio.run(answers_of(Asked(url=backstage.url, tokens=tokens))))
        finally:
            backstage.stop()
    sys.stdout.write(f"{len(QUESTIONS)} answers recorded\n")


if __name__ == "__main__":
    main()
