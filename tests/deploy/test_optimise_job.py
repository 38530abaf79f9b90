"""The Job of a sweep: valid, hardened like the rest, and in its place among a running copy's objects."""

import kubernetes_validate
import pytest

from tests.deploy.rendered import COMPONENT, NAME, Pod, Rendered, matches, render
from tests.deploy.test_manifests import OLDEST_KUBERNETES, VERSION


@pytest.fixture
def rendered() -> Rendered:
    return render("../optimise")  # no overlay: it is applied beside one


@pytest.fixture
def pod(rendered: Rendered) -> Pod:
    return rendered.pods["optimise"]


def test_every_object_fits_the_strict_schema(rendered: Rendered) -> None:
    for found in rendered.objects:
        kubernetes_validate.validate(found, OLDEST_KUBERNETES, strict=True)
    assert {found["kind"] for found in rendered.objects} == {"ServiceAccount", "Job"}


def test_many_pods_work_until_one_has_seen_the_end(pod: Pod) -> None:
    spec = pod.workload["spec"]
    assert spec["parallelism"] > 1
    assert "completions" not in spec, "with a count, Kubernetes would start pods that find nothing to do"
    assert pod.spec["restartPolicy"] == "OnFailure"


def test_every_pod_makes_or_finds_the_study_that_it_works_on(pod: Pod) -> None:
    (study,) = pod.spec["initContainers"]
    assert study["command"][:2] == ["millrace", "optimise"]
    assert {"--shared", "--prepare"} <= set(study["args"])
    named = study["args"][study["args"].index("--study") + 1]
    environment = {entry["name"]: entry.get("value", "") for entry in pod.container["env"]}
    assert pod.container["command"] == ["python", "-m", "services.backtest"]
    assert environment["MILLRACE_BACKTEST__STUDY"] == named
    for container in pod.containers:
        values = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert values["MILLRACE_DATABASE_URL"] == environment["MILLRACE_DATABASE_URL"]
        assert values["NUMBA_CACHE_DIR"].startswith("/tmp/"), "compiled code has to be written somewhere"  # noqa: S108
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]  # noqa: S108


def test_it_is_hardened_like_the_rest(pod: Pod) -> None:
    assert pod.spec["securityContext"]["runAsNonRoot"] is True
    assert pod.spec["automountServiceAccountToken"] is False
    for container in pod.containers:
        assert container["image"] == f"millrace:{VERSION}"
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} == container["resources"]["requests"].keys()
        assert all(mount.get("readOnly") for mount in container["volumeMounts"] if mount["name"] == "config")


def test_a_running_copy_lets_it_reach_postgres(rendered: Rendered, pod: Pod) -> None:
    copy = render("simulated")
    assert set(rendered.kind("Job")["optimise"]["metadata"]["namespace"].split()) == set(copy.kind("Namespace"))
    assert pod.labels[NAME] not in copy.pods
    policies = copy.kind("NetworkPolicy")
    assert matches(policies["services-to-stores"]["spec"]["podSelector"], pod.labels), pod.labels[COMPONENT]
    (peers,) = (rule["from"] for rule in policies["postgres-from-services"]["spec"]["ingress"])
    assert any(matches(peer["podSelector"], pod.labels) for peer in peers)
    claims = {volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod.volumes.values()} - {None}
    assert claims <= set(copy.kind("PersistentVolumeClaim"))
    secrets = {entry["valueFrom"]["secretKeyRef"]["name"] for container in pod.containers
               for entry in container["env"] if "valueFrom" in entry}  # fmt: skip
    assert secrets <= set(copy.kind("Secret"))
