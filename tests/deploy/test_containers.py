"""The files in `deploy/` for containers: what they refer to exists, and a relay runs with few rights."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from relay.settings import load
from tests.support.patience import PATIENCE
from tests.support.relay import running_relay
from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
KUBERNETES = "1.31"
"""The oldest version that the manifests are checked for; the newest is that of the package."""

SECRETS = {
    "tokens": "0123456789abcdef0123456789abcdef",
    "console-tokens": "fedcba9876543210fedcba9876543210",
    "ledger-url": "postgresql://relay:secret@db/relay?sslmode=verify-full",
    "supabase-key": "sb_secret_0123456789",
}


class UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice: YAML keeps the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: a key is there twice"
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> list[Any]:
    with path.open() as stream:
        return list(yaml.load_all(stream, UniqueKeyLoader))


# --- Docker -------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments."""
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest) for line in lines if line for name, _, rest in [line.partition(" ")]]


def arguments_of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def test_the_image_is_built_in_two_stages_from_locked_packages() -> None:
    assert [rest.split()[0] for rest in arguments_of("FROM")] == ["python:3.11-slim-bookworm"] * 2
    installs = [part for run in arguments_of("RUN") for part in run.split("&&") if "pip install" in part]
    assert len(installs) == 3
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)


def test_what_the_image_copies_exists_and_reaches_docker() -> None:
    sources = [name for rest in arguments_of("COPY") if "--from" not in rest for name in rest.split()[:-1]]
    reaching = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert set(sources) == reaching
    assert [name for name in sources if not (ROOT / name).exists()] == []
    assert not {"secrets", "settings.toml", "var", ".git"} & reaching


def test_the_container_runs_as_a_user_without_rights() -> None:
    assert arguments_of("USER") == ["10001:10001"]
    names = [name for name, _ in instructions()]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert arguments_of("ENTRYPOINT") == ['["relay"]']


def test_the_health_check_follows_the_state_of_a_relay(tmp_path: Path) -> None:
    (check,) = arguments_of("HEALTHCHECK")
    _, *command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "-c"
    port = free_port()
    line = [sys.executable, "-c", command[1].replace("8080", str(port))]
    with running_relay(tmp_path, f"[server]\nport = {port}\n"):
        assert subprocess.run(line, check=False, timeout=PATIENCE).returncode == 0  # noqa: S603
    done = subprocess.run(line, check=False, timeout=PATIENCE, capture_output=True)  # noqa: S603
    assert done.returncode == 1


# --- compose ------------------------------------------------------------------------------------


@pytest.fixture(params=["compose.yaml", "compose.postgres.yaml"])
def compose(request: pytest.FixtureRequest) -> dict[str, Any]:
    (document,) = read_yaml(DOCKER / request.param)
    assert isinstance(document, dict)
    return document


def relays_of(compose: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (each for each in compose["services"].values() if each.get("image") == "cloudtalk-relay")


def test_each_relay_of_compose_has_few_rights(compose: dict[str, Any]) -> None:
    relays = list(relays_of(compose))
    assert relays
    for relay in relays:
        assert relay["read_only"] is True
        assert relay["cap_drop"] == ["ALL"]
        assert relay["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in relay
        assert (DOCKER / relay["build"]["context"] / relay["build"]["dockerfile"]).samefile(
            DOCKER / "Dockerfile"
        )


def test_what_compose_refers_to_is_declared(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for each in service.get("depends_on", []):
            assert each in compose["services"], name
        assert set(service.get("secrets", [])) <= compose.get("secrets", {}).keys(), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("../"):
                assert (DOCKER / source).is_file(), name
            elif not source.startswith("./"):  # a folder of the user
                assert source in compose["volumes"], name
        for port in service.get("ports", []):
            assert port == "443:443" or port.startswith("127.0.0.1:"), name


def test_two_relays_of_compose_are_the_upstream_of_nginx() -> None:
    (document,) = read_yaml(DOCKER / "compose.postgres.yaml")
    upstream = (ROOT / "deploy/nginx/upstream-two.conf").read_text()
    servers = re.findall(r"^ *server ([\w-]+):8080 ", upstream, re.MULTILINE)
    assert servers == [name for name in document["services"] if name.startswith("relay-")]
    assert len(servers) == 2


# --- Kubernetes ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    found = read_yaml(ROOT / "deploy/kubernetes/relay.yaml")
    return {manifest["kind"]: manifest for manifest in found}


@pytest.mark.parametrize("version", [KUBERNETES, kubernetes_validate.latest_version()])
def test_the_manifests_match_the_schema(manifests: dict[str, Any], version: str) -> None:
    assert set(manifests) == {"ConfigMap", "Deployment", "Service", "PodDisruptionBudget", "Ingress"}
    for manifest in manifests.values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_manifests_fit_each_other(manifests: dict[str, Any]) -> None:
    pod = manifests["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert manifests["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    (container,) = pod["spec"]["containers"]
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    backend = manifests["Ingress"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == manifests["Service"]["metadata"]["name"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert security["allowPrivilegeEscalation"] is False
    assert pod["spec"]["securityContext"]["runAsNonRoot"]


def test_the_settings_of_the_manifests_are_valid(manifests: dict[str, Any], tmp_path: Path) -> None:
    text = manifests["ConfigMap"]["data"]["settings.toml"]
    (tmp_path / "settings.toml").write_text(text.replace("/run/secrets/relay", str(tmp_path)))
    for name, secret in SECRETS.items():
        (tmp_path / name).write_text(f"{secret}\n")
    settings = load(tmp_path / "settings.toml", {})
    assert settings.server.port == 8080
    header = (ROOT / "deploy/kubernetes/relay.yaml").read_text().partition("apiVersion")[0]
    listed = re.findall(r"--from-file=([\w-]+)", header)
    assert sorted(listed) == sorted(re.findall(r"/run/secrets/relay/([\w-]+)", text))
    assert tomllib.loads(text)["server"]["public_url"] == "https://calls.example.com"


def test_no_file_has_a_secret() -> None:
    for file in (ROOT / "deploy").rglob("*.y*ml"):
        assert not re.search(r"(?:whsec_|sb_secret_|pat-)\w{8}", file.read_text()), file
    assert "PASSWORD" not in shlex.join(rest for _, rest in instructions())
