"""The files a deployment consists of, read as their tools read them."""

import io
import re
from pathlib import Path
from typing import Any, Final

import yaml
from dotenv import dotenv_values

ROOT: Final = Path(__file__).parents[3]
EXAMPLE: Final = ROOT / ".env.example"


class _ComposeLoader(yaml.SafeLoader):
    """YAML with compose's own tag for what an override takes away."""


_ComposeLoader.add_constructor("!reset", lambda *_: None)


def compose(name: str = "docker-compose.yml") -> dict[str, Any]:
    """Return a compose file as it stands, before interpolation."""
    return yaml.load((ROOT / name).read_text(), _ComposeLoader)


def example_variables() -> dict[str, str]:
    """Return every variable of `.env.example`, also those that are commented out."""
    text = re.sub(r"^#(?=[A-Z_]+=)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    return {name: value or "" for name, value in dotenv_values(stream=io.StringIO(text)).items()}
