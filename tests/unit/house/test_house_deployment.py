"""Image, compose file and runbook: what they name is there. No image is built here: that needs a network."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from pipeline.api.service import ROUTERS
from pipeline.cli.main import app
from pipeline.cli.serve import PORT
from pipeline.settings import PREFIX, Settings

OTHERS = {
    "aws", "chmod", "curl", "df", "docker", "du", "mkdir", "openssl", "pg_isready", "pg_restore", "sed",
    "sudo",
}  # fmt: skip
USAGE: Any = typer.BadParameter.__base__  # what every command line that cannot be read raises
COMPOSE = {"build", "cp", "exec", "logs", "ps", "restart", "stop", "up"}


def parse(words: list[str]) -> None:
    """Read a command line as the command would, without running it."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "get_command"):
        found = command.get_command(None, words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]
    command.make_context(command.name, words)


def blocks(page: Path) -> Iterator[str]:
    for block in re.findall(r"^```\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        yield from (line for line in block.splitlines() if line.strip())


def test_the_runbook_names_commands_that_there_are(root: Path) -> None:
    lines = [*blocks(root / "docs/runbook.md")]
    assert len(lines) > 30
    services = yaml.safe_load((root / "compose.yaml").read_text())["services"]
    for line in lines:
        words = shlex.split(line)
        if words[0] == "countermark":
            parse(words[1:])
            continue
        assert words[0] in OTHERS, line
        if words[0] == "docker":
            assert (words[1], words[2] in COMPOSE) == ("compose", True), line
            named = [word.partition(":")[0] for word in words[3:] if word.partition(":")[0] in services]
            assert named or words[2] == "up", line
        for route in re.findall(r"http://127\.0\.0\.1:(\d+)(/\S*)", line):
            assert route[1] in routes(), line
            assert int(route[0]) == PORT


def test_the_runbook_names_inline_commands_that_there_are(root: Path) -> None:
    named = re.findall(r"`countermark ([a-z][^`]*)`", (root / "docs/runbook.md").read_text())
    assert named
    for line in named:
        parse(shlex.split(line))


def test_the_runbook_makes_each_secret_of_the_service_readable_to_it_alone(root: Path) -> None:
    text, lines = (root / "docs/runbook.md").read_text(), [*blocks(root / "docs/runbook.md")]
    [user] = [value for name, value in instructions(root) if name == "USER"]
    named = set(re.findall(r"\bsecrets/(\w+)", text)) - {"database_password"}  # the database's, read as root
    assert named == {"database_passfile", "keys_passphrase"}
    for name in named:
        assert any(line.startswith("chmod 600 ") and f"secrets/{name}" in line.split() for line in lines)
        assert f"sudo chown {user} secrets/{name}" in lines


@pytest.mark.parametrize("line", ["apikeys incidents KEY", "serve --nowhere", "case list --limit many"])
def test_what_is_no_command_is_found(line: str) -> None:
    with pytest.raises((AssertionError, USAGE)):
        parse(line.split())


def routes() -> set[str]:
    return {route.path for router in ROUTERS for route in router.routes}  # type: ignore[attr-defined]


def instructions(root: Path) -> list[tuple[str, str]]:
    text = (root / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_image(root: Path) -> None:
    told = instructions(root)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    last = dict(told[[name for name, _ in told].index("FROM", 2) :])
    assert re.fullmatch(r'\["countermark", .*\]', last["CMD"])
    parse(yaml.safe_load(last["CMD"])[1:])
    assert (last["USER"], last["EXPOSE"]) == ("10001", str(PORT))
    check = last["HEALTHCHECK"]
    [(port, route)] = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", check)
    assert (int(port), route in routes()) == (PORT, True)
    compile(yaml.safe_load(check.partition("CMD ")[2])[2], "healthcheck", "exec")
    for name in re.findall(rf"{PREFIX}(\w+)=", last["ENV"]):
        assert name.lower() in Settings.model_fields
    assert last["VOLUME"] in last["ENV"]  # the home lies in it
    extras = project["optional-dependencies"]
    [pinned] = [one for one in extras["generate"] if one.startswith("torch==")]
    assert sed_of(root) == pinned
    [extra] = re.findall(r"/src\[(\w+)\]", "\n".join(value for _, value in told))
    assert extra in extras


def sed_of(root: Path) -> str:
    """What the expression in the Dockerfile finds in pyproject.toml first."""
    [expression] = re.findall(r"s/\.\*\"(.+?)\"\.\*/", (root / "Dockerfile").read_text())
    pattern = expression.replace(r"\(", "(").replace(r"\)", ")")
    [first, *_] = re.findall(pattern, (root / "pyproject.toml").read_text())
    return str(first)


def test_what_the_image_is_made_of(root: Path) -> None:
    """All that is installed, and neither repository nor tests, nor anything that lies about."""
    lines = (root / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert all((root / name).exists() for name in kept)
    told = tomllib.loads((root / "pyproject.toml").read_text())
    setup = told["tool"]["setuptools"]
    needed = {name.partition(".")[0] for name in setup["packages"]}
    needed |= {f"{name}.py" for name in setup["py-modules"]} | {"pyproject.toml", told["project"]["readme"]}
    assert needed | set(told["project"]["license-files"]) == kept
    assert not any(fnmatch(name, pattern) for name in (".git", "tests", "secrets") for pattern in kept)


def test_the_compose_file(root: Path) -> None:
    told = yaml.safe_load((root / "compose.yaml").read_text())
    services = told["services"]
    for name, service in services.items():
        assert set(service.get("secrets", [])) <= set(told["secrets"]), name
        assert set(service.get("depends_on", {})) <= set(services), name
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in told["volumes"], name
        for value in map(str, service["environment"].values()):
            assert "pass" not in value.lower() or "/run/secrets/" in value, name
    service = services["service"]
    settings = {key.removeprefix(PREFIX).lower(): value for key, value in service["environment"].items()}
    read = Settings(home=root, **settings)
    [secret] = re.findall(r"passfile=/run/secrets/(\w+)", str(read.database))
    assert secret in service["secrets"]
    last = dict(instructions(root))
    assert service["volumes"] == [f"home:{last['VOLUME']}"]
    assert service["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    worker = services["worker"]
    parse(worker["command"][1:])
    for same in ("image", "environment", "secrets", "volumes", "read_only", "cap_drop", "security_opt"):
        assert worker[same] == service[same], same  # the same home, database and bounds
    ignored = (root / ".gitignore").read_text().splitlines()
    for secret in told["secrets"].values():
        folder, name = Path(secret["file"]).parts
        assert f"{folder}/" in ignored
        assert f"{folder}/{name}" in (root / "docs/runbook.md").read_text()
