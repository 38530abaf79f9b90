"""What an overlay comes to, and questions about it that a schema can't answer."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = ("simulated", "paper", "live")
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"

Object = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod template of a Deployment, StatefulSet or Job."""

    workload: Object

    @property
    def name(self) -> str:
        return self.labels[NAME]

    @property
    def labels(self) -> dict[str, str]:
        return self.workload["spec"]["template"]["metadata"]["labels"]

    @property
    def spec(self) -> Object:
        return self.workload["spec"]["template"]["spec"]

    @property
    def container(self) -> Object:
        (container,) = self.spec["containers"]
        return container

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", ()), self.container]

    @property
    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", ())}

    @property
    def volumes(self) -> dict[str, Object]:
        claimed = {claim["metadata"]["name"]: {} for claim in self.workload["spec"].get("volumeClaimTemplates", ())}
        return claimed | {volume["name"]: volume for volume in self.spec.get("volumes", ())}


@dataclass(frozen=True)
class Rendered:
    objects: tuple[Object, ...]

    def kind(self, *kinds: str) -> dict[str, Object]:
        return {found["metadata"]["name"]: found for found in self.objects if found["kind"] in kinds}

    @property
    def pods(self) -> dict[str, Pod]:
        workloads = self.kind("Deployment", "StatefulSet", "Job").values()
        return {pod.name: pod for pod in map(Pod, workloads)}

    def selected(self, selector: Object) -> list[Pod]:
        return [pod for pod in self.pods.values() if matches(selector, pod.labels)]

    def environment(self, pod: Pod) -> dict[str, str]:
        """The variables of the container, from its ConfigMaps and its own list."""
        maps = [self.kind("ConfigMap")[source["configMapRef"]["name"]] for source in pod.container.get("envFrom", ())]
        found = {key: value for config_map in maps for key, value in config_map["data"].items()}
        return found | {entry["name"]: entry.get("value", "") for entry in pod.container.get("env", ())}

    def edges(self) -> set[tuple[str, str, str]]:
        """(from, to, port) of every connection inside the namespace that both ends allow."""
        policies = self.kind("NetworkPolicy").values()
        outward = set(self._allowed(policies, "egress", "to"))
        inward = {(source, target, port) for target, source, port in self._allowed(policies, "ingress", "from")}
        return outward & inward

    def _allowed(self, policies: Any, direction: str, peers: str) -> Iterator[tuple[str, str, str]]:
        for policy in policies:
            for rule in policy["spec"].get(direction, ()):
                others = [
                    pod
                    for peer in rule[peers]
                    if "podSelector" in peer and "namespaceSelector" not in peer
                    for pod in self.selected(peer["podSelector"])
                ]
                for pod in self.selected(policy["spec"]["podSelector"]):
                    yield from ((pod.name, other.name, port["port"]) for other in others for port in rule["ports"])


def matches(selector: Object, labels: dict[str, str]) -> bool:
    def holds(rule: Object) -> bool:
        inside = labels.get(rule["key"]) in rule["values"]
        return {"In": inside, "NotIn": not inside}[rule["operator"]]

    wanted = selector.get("matchLabels", {}).items()
    return wanted <= labels.items() and all(holds(rule) for rule in selector.get("matchExpressions", ()))


@cache
def render(overlay: str) -> Rendered:
    kubectl = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: the Kubernetes manifests are NOT tested")
    command = [kubectl, "kustomize", str(ROOT / "deploy" / "k8s" / "overlays" / overlay)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert result.returncode == 0, result.stderr
    return Rendered(tuple(yaml.safe_load_all(result.stdout)))
