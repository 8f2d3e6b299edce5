"""The dashboards against Grafana's own types and units, from its npm packages of the version that compose.yaml starts."""

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from otel_tutor.tools.stack.files import shipped
from tests.support.grafana_units import UNITS

pytestmark = pytest.mark.grafana

HERE: Final = Path(__file__).parent / "grafana"
BOARDS: Final = sorted((shipped() / "dashboards" / "json").glob("*.json"))
TOOLS: Final = ("ts-json-schema-generator@2", "ajv@8")  # JSON Schema from TypeScript, and what holds JSON against it
QUIET: Final = ("--loglevel=error", "--no-audit", "--no-fund")
Json = dict[str, Any]
Part = tuple[str, str, Any]  # its name, what it is in types.ts, and what there is
Check = Callable[[Sequence[Part]], list[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grafana's packages, and their types as JSON Schema."""
    made = tmp_path_factory.mktemp("grafana")
    shutil.copytree(HERE, made, dirs_exist_ok=True)
    install(made)
    generator = ("node_modules/.bin/ts-json-schema-generator", "--path=types.ts", "--tsconfig=tsconfig.json")
    run(made, *generator, "--type=Grafana", "--no-type-check", "--out=schema.json")
    return made


@pytest.fixture(scope="module")
def units(folder: Path) -> set[str]:
    """The ids of Grafana's value formats."""
    text = (folder / "node_modules/@grafana/data/dist/esm/valueFormats/categories.mjs").read_text(encoding="utf-8")
    return set(re.findall(r'\bid: "([^"]+)"', text))


@pytest.fixture(scope="module")
def check(folder: Path) -> Check:
    """A line for all that Grafana does not know."""
    return lambda parts: run(folder, "node", "check.mjs", "schema.json", given=json.dumps(parts)).splitlines()


def parts(board: Json) -> Iterator[Part]:
    yield "dashboard", "dashboard", board
    for panel in board["panels"]:
        kind = f"{panel['type']}/properties"
        yield panel["title"], f"{kind}/options", panel["options"]
        yield panel["title"], f"{kind}/custom", panel["fieldConfig"]["defaults"].get("custom", {})
        yield from ((panel["title"], "target", target) for target in panel["targets"])


def install(folder: Path) -> None:
    """Types need no code: of the two packages with many dependencies only their own files."""
    services = yaml.safe_load((shipped() / "compose.yaml").read_text(encoding="utf-8"))["services"]
    version = services["grafana"]["image"].rpartition(":")[2]
    minor = version.rpartition(".")[0]
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    run(folder, "npm", "install", "--ignore-scripts", *QUIET, f"@grafana/schema@{version}", *TOOLS)
    for name, wanted in (("data", version), ("prometheus", f"~{minor}.0")):  # the second is not released as often
        packed = run(folder, "npm", "pack", *QUIET, f"@grafana/{name}@{wanted}").split()[-1]
        with tarfile.open(folder / packed) as archive:
            archive.extractall(folder, filter="data")
        (folder / "package").rename(folder / "node_modules" / "@grafana" / name)


def run(folder: Path, *command: str, given: str = "") -> str:
    done = subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_grafana_knows_all_of_a_dashboard(check: Check, units: set[str], path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))

    assert check(list(parts(board))) == []
    assert {panel["fieldConfig"]["defaults"]["unit"] for panel in board["panels"]} <= units


def test_grafana_knows_all_of_the_data_source(check: Check) -> None:
    text = (shipped() / "dashboards" / "provisioning" / "datasources" / "otel-tutor.yaml").read_text(encoding="utf-8")
    (source,) = [source["jsonData"] for source in yaml.safe_load(text)["datasources"] if source["type"] == "prometheus"]

    assert check([("Prometheus", "source", source)]) == []


def test_the_units_that_the_lint_knows_are_grafanas(units: set[str]) -> None:
    assert UNITS.keys() <= units


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda board: board.update(refreshing="5s"), "refreshing", id="dashboard"),
        pytest.param(lambda board: board["templating"]["list"][1].update(type="querry"), "textbox", id="variable"),
        pytest.param(lambda board: board["panels"][0].update(gridPos={"x": 0}), "'w'", id="place"),
        pytest.param(lambda board: board["panels"][0]["options"]["legend"].update(placement="left"), "right", id="option"),
        pytest.param(lambda board: board["panels"][0]["targets"][0].update(exemplars=True), "exemplars", id="target"),
        pytest.param(
            lambda board: board["panels"][0]["fieldConfig"]["defaults"]["custom"].update(lineWidht=1),
            "lineWidht",
            id="custom",
        ),
    ],
)
def test_a_mistake_in_any_of_its_parts_is_found(check: Check, spoil: Callable[[Json], None], said: str) -> None:
    board: Json = json.loads(next(path for path in BOARDS if path.stem == "otel-tutor-api").read_text(encoding="utf-8"))
    spoil(board)

    assert said in " ".join(check(list(parts(board))))
