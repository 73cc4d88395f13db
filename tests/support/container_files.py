"""The files in deploy/docker and deploy/kubernetes, read for tests."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.real.gateway import ROOT

DOCKER = ROOT / "deploy" / "docker"
DOCKERFILE = DOCKER / "Dockerfile"
COMPOSE = DOCKER / "compose.yaml"
KUBERNETES = ROOT / "deploy" / "kubernetes"


def compose_service(name: str) -> dict[str, Any]:
    """Return a service of the Compose file."""
    service: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"][name]
    return service


def manifests() -> Iterator[dict[str, Any]]:
    """Return all documents of the Kubernetes manifests."""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def instruction(name: str) -> str:
    """Return the arguments of an instruction of the Dockerfile, which has it once."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    [found] = re.findall(rf"^{name} +(.*)$", text, re.MULTILINE)
    return str(found)


def image_command() -> list[str]:
    """Return what the image runs."""
    command: list[str] = [*json.loads(instruction("ENTRYPOINT")), *json.loads(instruction("CMD"))]
    return command


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    return dict(part.split("=", 1) for part in instruction("ENV").split())


def health_command() -> list[str]:
    """Return what the image is asked with, whether it is alive."""
    _, _, command = instruction("HEALTHCHECK").partition("CMD ")
    parsed: list[str] = json.loads(command)
    return parsed


def ini_settings(path: Path) -> dict[str, str]:
    """Return the settings in a plain php.ini."""
    found = re.findall(r"^([\w.]+) = \"?([^\"\n]*)\"?$", path.read_text(), re.MULTILINE)
    return dict(found)
