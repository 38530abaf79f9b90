"""docker-compose.yml: true to the code, closed to the outside; needs no Docker."""

import re
import shutil
import subprocess
from importlib import import_module
from typing import Any

import pytest
import yaml

from shared.config import CONFIG_FOLDER, Common, load
from tests.deploy.rendered import ROOT

FILE = ROOT / "docker-compose.yml"
CODE = {path.parent.name for path in ROOT.glob("services/*/__main__.py")} - {"backtest"}  # its worker ends by itself
STORES, JOBS = {"redis", "postgres"}, {"config", "migrate"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Its services, with ${NAME:-default} as the default."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", FILE.read_text())
    return yaml.safe_load(text)["services"]


def test_it_has_every_service_and_one_image_for_all(services: dict[str, Any]) -> None:
    assert services.keys() == CODE | STORES | JOBS | {"pacer"}
    assert len({services[name]["image"] for name in services.keys() - STORES}) == 1
    for name in CODE:
        assert services[name]["command"] == ["python", "-m", f"services.{name}"]
    assert [name for name, service in services.items() if "build" in service] == ["config"]


def test_a_gateway_that_does_not_ration_itself_meets_a_simulator_that_does_not_either(services: dict[str, Any]) -> None:
    overlay = (ROOT / "deploy/k8s/overlays/simulated/kustomization.yaml").read_text()
    assert services["gateway"]["environment"]["MILLRACE_GATEWAY__REQUESTS_PER_SECOND"] == 0
    assert services["simulator"]["environment"]["MILLRACE_SIMULATOR__MESSAGES_PER_SECOND"] == 0
    for setting in ("MILLRACE_GATEWAY__REQUESTS_PER_SECOND=0", "MILLRACE_SIMULATOR__MESSAGES_PER_SECOND=0"):
        assert setting in overlay


def test_every_container_is_hardened(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert {services[name]["user"] for name in STORES} == {"999:999"}
    assert re.findall(r"^USER (.+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE) == ["10001:10001"]


def test_what_runs_for_ever_is_restarted_and_what_others_wait_for_is_checked(services: dict[str, Any]) -> None:
    for name in CODE | STORES:
        assert "healthcheck" in services[name], name
    restarts = dict.fromkeys(CODE | STORES, "unless-stopped") | {"pacer": "on-failure"}
    for name, service in services.items():
        assert service.get("restart") == restarts.get(name), name
        for needed, how in service.get("depends_on", {}).items():
            completed = "service_completed_successfully"
            assert how == {"condition": completed if needed in JOBS else "service_healthy"}, (name, needed)


def test_nothing_starts_before_the_schema_and_the_clock_starts_last(services: dict[str, Any]) -> None:
    def before(name: str) -> set[str]:
        direct = services[name].get("depends_on", {}).keys()
        return set(direct).union(*map(before, direct))

    for name in CODE - {"simulator"}:
        assert before(name) >= STORES | JOBS, name
    assert before("simulator") == {"config"}
    assert before("scheduler") == (CODE - {"scheduler"}) | STORES | JOBS
    assert before("pacer") == CODE | STORES | JOBS


def test_the_settings_volume_has_one_writer(services: dict[str, Any]) -> None:
    for name in services.keys() - STORES:
        assert ("config:/config" in services[name]["volumes"]) == (name == "config"), name
        assert ("config:/config:ro" in services[name]["volumes"]) == (name != "config"), name


def test_only_the_gateway_and_the_pacer_reach_the_broker(services: dict[str, Any]) -> None:
    on_broker = {name for name, service in services.items() if "broker" in service.get("networks", ())}
    assert on_broker == {"simulator", "gateway", "pacer"}
    assert services["simulator"]["networks"] == ["broker"]


def test_ports_are_open_to_this_machine_only_and_scanners_can_be_many(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"redis": ["127.0.0.1:6379:6379"], "simulator": ["127.0.0.1:4002:4002"]}
    assert not any("container_name" in service for service in services.values())


def test_settings_in_the_environment_are_accepted(services: dict[str, Any]) -> None:
    for name in CODE:
        environment = {key: str(value) for key, value in services[name]["environment"].items()}
        environment[CONFIG_FOLDER] = str(ROOT / "config")
        assert load(Common, environment).mode == "simulated"
        settings = load(import_module(f"services.{name}.config").Settings, environment)
        if name == "gateway":
            assert (settings.host, settings.port) == ("simulator", 4002)


def test_docker_reads_it() -> None:
    docker = shutil.which("docker")
    if docker is None or _run(docker, "compose", "version").returncode:
        pytest.skip("docker compose is not installed: docker-compose.yml was read as plain YAML only")
    result = _run(docker, "compose", "--file", str(FILE), "config", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands
