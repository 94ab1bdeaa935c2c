"""The state file with the results so far: `--resume` continues from it, and `--clean` finds what to remove."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ujobs_tools.host.files import write_whole
from ujobs_tools.qualify.case import Outcome

_NAME = "state.json"


@dataclass
class State:
    """State of a run. seed: seed of the random times. facts: facts about the board. outcomes: outcomes of the cases
    that have run."""

    folder: Path
    run_id: str
    seed: int
    facts: dict[str, Any] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def keep(self) -> None:
        """Write the state file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {
            "run_id": self.run_id, "seed": self.seed, "facts": self.facts,
            "outcomes": [asdict(outcome) for outcome in self.outcomes.values()],
        }
        write_whole(self.folder / _NAME, json.dumps(content, indent=1).encode())


def read(folder: Path) -> State | None:
    """Read the state of the last run in a folder; None if there is none. Raises ValueError if the file is damaged."""
    path = folder / _NAME
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        outcomes = {one["name"]: Outcome(**one) for one in found["outcomes"]}
        return State(folder, str(found["run_id"]), int(found["seed"]), dict(found["facts"]), outcomes)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: remove it") from error
