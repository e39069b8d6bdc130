"""The manifests of deploy/k8s: each object against the schema of its kind, and what docs/deployment.md promises of them."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no type hints
import pytest
from ruamel.yaml import YAML

from config.settings import PROJECT_ROOT, Settings
from infrastructure.database.connection_limit import connections_of_background, connections_of_worker

pytestmark = pytest.mark.unit

K8S = PROJECT_ROOT / "deploy" / "k8s"
VERSIONS = ("1.30", "1.37")
# Of a group of their own, whose schemas no package has: what CloudNativePG's reference names.
CLUSTER = {"instances", "imageName", "bootstrap", "storage", "postgresql", "resources", "affinity"}
MANIFESTS = [path for path in sorted(K8S.rglob("*.yaml")) if path.name != "kustomization.yaml"]
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def objects(text: str) -> list[dict[str, Any]]:
    return [found for found in YAML(typ="safe").load_all(text) if found]


@cache
def built(overlay: str) -> tuple[dict[str, Any], ...]:
    """What kustomize makes of an overlay."""
    command = ["kubectl", "kustomize", str(K8S / "overlays" / overlay)]
    return tuple(objects(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def require_valid(found: dict[str, Any]) -> None:
    if found["kind"] == "Cluster":
        assert found["apiVersion"] == "postgresql.cnpg.io/v1"
        assert set(found["spec"]) <= CLUSTER
        assert all(isinstance(value, str) for value in found["spec"]["postgresql"]["parameters"].values())
        return
    for version in VERSIONS:
        kubernetes_validate.validate(found, version, strict=True)


def pods(found: list[dict[str, Any]] | tuple[dict[str, Any], ...]) -> dict[str, dict[str, Any]]:
    """The pods of Deployments and Jobs, by the names of these."""
    kinds = ("Deployment", "Job")
    return {item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in found if item["kind"] in kinds}


def base() -> list[dict[str, Any]]:
    return [found for path in MANIFESTS if path.parent.name == "base" for found in objects(path.read_text())]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: str(path.relative_to(K8S)))
def test_every_object_is_of_its_schema(manifest: Path) -> None:
    for found in objects(manifest.read_text()):
        require_valid(found)


@needs_kubectl
@pytest.mark.parametrize("overlay", ["production", "development"])
def test_kustomize_makes_valid_objects_of_every_overlay(overlay: str) -> None:
    found = built(overlay)
    for item in found:
        require_valid(item)
    namespace = next(item for item in found if item["kind"] == "Namespace")["metadata"]["name"]
    assert {item["metadata"].get("namespace") for item in found if item["kind"] != "Namespace"} == {namespace}
    images = {container["image"] for pod in pods(found).values() for container in pod["containers"]}
    assert all(":" in image and not image.endswith(":latest") for image in images)
    # The digest of the settings is part of the name that the pods ask for.
    settings = next(item for item in found if item["kind"] == "ConfigMap")["metadata"]["name"]
    shop = [pod for name, pod in pods(found).items() if name != "shop-valkey"]
    assert {pod["containers"][0]["envFrom"][0]["configMapRef"]["name"] for pod in shop} == {settings}


@needs_kubectl
def test_the_url_of_an_own_database_comes_from_its_operator() -> None:
    for name, pod in pods(built("development")).items():
        if name != "shop-valkey":
            last = pod["volumes"][0]["projected"]["sources"][-1]["secret"]
            assert last == {"name": "shop-database-app", "items": [{"key": "uri", "path": "database_url"}]}


@pytest.mark.parametrize("name", ["shop-api", "shop-worker", "shop-migration"])
def test_no_pod_may_more_than_its_work(name: str) -> None:
    pod = pods(base())[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_api_is_asked_whether_it_lives_and_whether_it_serves() -> None:
    (container,) = pods(base())["shop-api"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"


def test_a_pod_has_the_time_to_drain() -> None:
    pod = pods(base())["shop-api"]
    (_, pause) = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] >= float(pause) + Settings().drain_seconds + 30 + 5


@needs_kubectl
def test_the_settings_are_settings_and_the_secret_has_every_file() -> None:
    example = objects((K8S / "base" / "secret.example.yaml").read_text())[0]["stringData"]
    settings = {name.upper() for name in Settings.model_fields}
    for overlay in ("production", "development"):
        data = next(item for item in built(overlay) if item["kind"] == "ConfigMap")["data"]
        assert {name.removesuffix("_FILE") for name in data} <= settings
        files = {value for name, value in data.items() if name.endswith("_FILE")}
        assert files == {f"/run/secrets/shop/{key}" for key in example}


def test_postgresql_has_connections_for_as_many_pods_as_there_may_be() -> None:
    (cluster,) = objects((K8S / "examples" / "cloudnativepg.yaml").read_text())
    scaling = next(found for found in base() if found["kind"] == "HorizontalPodAutoscaler")
    background = next(found for found in base() if found["metadata"]["name"] == "shop-worker")
    workers = next(
        int(literal.partition("=")[2])
        for generated in objects((K8S / "base" / "kustomization.yaml").read_text())[0]["configMapGenerator"]
        for literal in generated["literals"]
        if literal.startswith("UVICORN_WORKERS=")
    )
    threads = Settings().db_pool_size
    needed = scaling["spec"]["maxReplicas"] * workers * connections_of_worker(threads)
    needed += background["spec"]["replicas"] * connections_of_background(threads)
    assert needed <= int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])


def test_some_pods_stay_while_nodes_are_drained() -> None:
    budget = next(found for found in base() if found["kind"] == "PodDisruptionBudget")
    scaling = next(found for found in base() if found["kind"] == "HorizontalPodAutoscaler")
    assert 0 < budget["spec"]["minAvailable"] < scaling["spec"]["minReplicas"]
