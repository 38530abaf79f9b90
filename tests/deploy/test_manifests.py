"""The Kubernetes manifests: valid, and true to each other and to the code."""

import tomllib
from importlib import import_module

import kubernetes_validate
import pytest
import yaml

from shared.config import CONFIG_FOLDER, Common, load
from tests.deploy.rendered import COMPONENT, OVERLAYS, ROOT, Rendered, render

SERVICES = {path.parent.name for path in ROOT.glob("services/*/__main__.py")} - {
    "simulator",  # a component
    "backtest",  # a Job: test_optimise_job.py
}
BROKER = {"simulated": "simulator", "paper": "ib-gateway", "live": "ib-gateway"}
# What an operator makes by hand before the first apply; the heads of the overlays say how.
SECRETS_MADE_BY_HAND = {"simulated": set[str](), "paper": {"stores", "ib-account"}, "live": {"stores", "ib-account"}}
OLDEST_KUBERNETES = "1.32"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def rendered(overlay: str) -> Rendered:
    return render(overlay)


def test_every_object_fits_the_strict_schema(rendered: Rendered) -> None:
    for found in rendered.objects:
        kubernetes_validate.validate(found, OLDEST_KUBERNETES, strict=True)


def test_every_object_is_in_the_namespace_of_its_mode(rendered: Rendered, overlay: str) -> None:
    assert set(rendered.kind("Namespace")) == {f"millrace-{overlay}"}
    others = [found for found in rendered.objects if found["kind"] != "Namespace"]
    assert {found["metadata"]["namespace"] for found in others} == {f"millrace-{overlay}"}


def test_there_is_a_deployment_for_each_service(rendered: Rendered, overlay: str) -> None:
    deployments = rendered.kind("Deployment")
    assert set(deployments) == SERVICES | ({"simulator"} if overlay == "simulated" else set())
    for name in deployments:
        assert rendered.pods[name].container["command"] == ["python", "-m", f"services.{name}"]


def test_single_writers_are_never_two_and_scanners_can_be_scaled(rendered: Rendered) -> None:
    for name, deployment in rendered.kind("Deployment").items():
        spec = deployment["spec"]
        if name == "scanner":
            assert "replicas" not in spec, "an apply would undo `kubectl scale`"
            assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        else:
            assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"}), name
    assert all(store["spec"]["replicas"] == 1 for store in rendered.kind("StatefulSet").values())


def test_every_mount_has_its_volume_and_every_reference_its_object(rendered: Rendered, overlay: str) -> None:
    claims, config_maps = set(rendered.kind("PersistentVolumeClaim")), set(rendered.kind("ConfigMap"))
    secrets = set(rendered.kind("Secret")) | SECRETS_MADE_BY_HAND[overlay]
    accounts = set(rendered.kind("ServiceAccount"))
    used_accounts: list[str] = []
    for pod in rendered.pods.values():
        for container in pod.containers:
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= pod.volumes.keys(), pod.name
            for variable in container.get("env", ()):
                if "valueFrom" in variable:
                    assert variable["valueFrom"]["secretKeyRef"]["name"] in secrets
            for source in container.get("envFrom", ()):
                assert source["configMapRef"]["name"] in config_maps
        for volume in pod.volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName") in {*claims, None}
            assert volume.get("configMap", {}).get("name") in {*config_maps, None}
            assert volume.get("secret", {}).get("secretName") in {*secrets, None}
        used_accounts.append(pod.spec["serviceAccountName"])
    assert sorted(used_accounts) == sorted(accounts), "each workload has an account of its own"


def test_services_lead_to_ports_that_are_open(rendered: Rendered) -> None:
    for name, service in rendered.kind("Service").items():
        (pod,) = rendered.selected({"matchLabels": service["spec"]["selector"]})
        assert pod.name == name
        for port in service["spec"]["ports"]:
            assert pod.ports[port["targetPort"]] == port["port"]  # headless: the client meets the pod's own port


def test_budgets_and_policies_select_something(rendered: Rendered) -> None:
    for name, budget in rendered.kind("PodDisruptionBudget").items():
        assert rendered.selected(budget["spec"]["selector"]), name
    for name, policy in rendered.kind("NetworkPolicy").items():
        assert rendered.selected(policy["spec"]["podSelector"]), name
    covered = [pod.name for budget in rendered.kind("PodDisruptionBudget").values()
               for pod in rendered.selected(budget["spec"]["selector"])]  # fmt: skip
    assert sorted(covered) == sorted({*SERVICES, "redis", "postgres"}), "two budgets on a pod forbid its eviction"


def test_who_may_connect_to_whom(rendered: Rendered, overlay: str) -> None:
    clients = SERVICES | {"migrate"} | ({"pacer"} if overlay == "simulated" else set())
    expected = {(client, store, store) for client in clients for store in ("redis", "postgres")}
    expected |= {(client, service, "http") for client in clients for service in SERVICES}
    expected |= {("gateway", BROKER[overlay], "tws")}
    expected |= {("pacer", "simulator", "http")} if overlay == "simulated" else set()
    assert rendered.edges() == expected
    for source, target, port in expected:
        assert port in rendered.pods[target].ports, (source, target)


def test_whatever_is_not_allowed_is_refused(rendered: Rendered) -> None:
    spec = rendered.kind("NetworkPolicy")["nothing-else"]["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_only_the_seeding_of_the_defaults_may_write_the_settings(rendered: Rendered) -> None:
    writers = [
        f"{pod.name}/{container['name']}"
        for pod in rendered.pods.values()
        for container in pod.containers
        for mount in container.get("volumeMounts", ())
        if mount["name"] == "config" and not mount.get("readOnly")
    ]
    assert writers == ["migrate/config"]


def test_pods_are_restricted(rendered: Rendered) -> None:
    """Pod Security Standards, profile `restricted`; and beyond it a read-only root, but for IB's own image."""
    for pod in rendered.pods.values():
        security = pod.spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.spec["automountServiceAccountToken"] is False
        assert pod.spec["enableServiceLinks"] is False
        for container in pod.containers:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert own.get("readOnlyRootFilesystem", False) is (pod.name != "ib-gateway")
            assert {"cpu", "memory"} == container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]


def test_services_are_probed(rendered: Rendered) -> None:
    """Liveness never asks /readyz: what a service depends on is no reason to restart it."""
    probed = [pod for pod in rendered.pods.values() if pod.labels[COMPONENT] in ("service", "broker")]
    for pod in probed:
        if pod.name == "ib-gateway":
            continue
        paths = {kind: pod.container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
        assert {kind: get["path"] for kind, get in paths.items()} == {
            "startup": "/healthz",
            "readiness": "/readyz",
            "liveness": "/healthz",
        }
        assert {get["port"] for get in paths.values()} == {"http"}
        assert pod.ports["http"] == 8080


def test_settings_in_the_environment_are_accepted(rendered: Rendered, overlay: str) -> None:
    for pod in rendered.pods.values():
        if not pod.container["image"].startswith("millrace:"):
            continue
        environment = rendered.environment(pod) | {CONFIG_FOLDER: str(ROOT / "config")}
        common = load(Common, environment)
        if pod.name in SERVICES:
            assert common.mode == overlay
            settings = load(import_module(f"services.{pod.name}.config").Settings, environment)
            if pod.name == "gateway":
                service = rendered.kind("Service")[BROKER[overlay]]
                ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
                assert (settings.host, settings.port) == (BROKER[overlay], ports["tws"])


def test_jobs_do_not_change_within_a_version(rendered: Rendered, overlay: str) -> None:
    """A Job can't be changed, so it must not carry a name that a change of settings changes."""
    names = ("migrate", "pacer") if overlay == "simulated" else ("migrate",)
    assert set(rendered.kind("Job")) == {f"{name}-{VERSION}" for name in names}
    assert not any("envFrom" in rendered.pods[name].container for name in names)


def test_images_are_those_of_compose(rendered: Rendered) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    images = {container["image"] for pod in rendered.pods.values() for container in pod.containers}
    images -= {rendered.pods[name].container["image"] for name in rendered.pods.keys() & {"ib-gateway"}}
    assert images == {service["image"] for service in compose.values()}
    assert f"millrace:{VERSION}" in images


@pytest.mark.parametrize(("overlay", "outer", "inner"), [("paper", 4004, 4002), ("live", 4003, 4001)])
def test_the_account_and_its_ports_turn_together(overlay: str, outer: int, inner: int) -> None:
    """The ports are those of the image: https://github.com/gnzsnz/ib-gateway-docker"""
    rendered = render(overlay)
    pod = rendered.pods["ib-gateway"]
    assert rendered.environment(pod)["TRADING_MODE"] == overlay
    assert pod.ports == {"tws": outer}
    assert pod.container["readinessProbe"]["exec"]["command"][-1].endswith(f"/127.0.0.1/{inner}")
    assert "livenessProbe" not in pod.container
