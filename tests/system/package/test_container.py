"""The image that ``deploy/Containerfile`` describes, and the other ways to deploy: as far as they can be run without an
engine. What is not run here: the pulling of base images, and the engines' own networks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import httpx
import pytest
import yaml

from devservers import container
from devservers.container import Container, Image
from devservers.installation import Installation
from devservers.ports import free_port
from streamchat.web.proxies import ProxyRules
from tests import ROOT

pytestmark = pytest.mark.timeout(170)
DEPLOY = ROOT / "deploy"


@pytest.fixture
def running(core: Installation, tmp_path: Path) -> Iterator[Container]:
    if reason := container.why_not():
        pytest.skip(reason)
    settings = {"STREAMCHAT_MODELS": "simulator:tour", "STREAMCHAT_HOST": "127.0.0.1"}
    data = tmp_path / "data"
    data.mkdir()
    tmp_path.chmod(0o755)
    started = Container(Image(), core, data, settings).start()
    yield started
    started.stop()


def test_the_image_serves_as_an_ordinary_user_on_a_read_only_root(running: Container, tmp_path: Path):
    """Its own health check succeeds, a question is answered, and nothing is written but to the volume; SIGTERM to its
    first process ends it in order."""
    ids = running.run("sh", "-c", "id -u; id -g; grep CapEff /proc/1/status; touch /opt/x /usr/x /x || true")
    assert ids.stdout.split()[:2] == running.image.user.split(":")
    assert int(re.search(r"CapEff:\s*(\w+)", ids.stdout)[1], 16) == 0  # pyrefly: ignore[unsupported-operation]
    assert ids.stderr.count("Read-only file system") == 3, ids.stderr
    started = httpx.post(f"{running.url}/api/runs", json={"message": "n=3 rate=100"}, trust_env=False).json()
    events = httpx.get(f"{running.url}{started['events_url']}", trust_env=False, timeout=30).text
    assert "event: finished" in events
    doctor = running.run("streamchat", "doctor", "--json")
    assert json.loads(doctor.stdout)["ok"], doctor.stdout
    assert running.run("streamchat", "backup", "/data/all.backup").returncode == 0
    assert running.stop() == 0
    assert (tmp_path / "data" / "streamchat.db").is_file()


def test_the_image_installs_what_is_locked():
    """Every installation of its steps takes locked files or our own wheel, and no index decides anything."""
    installs = [rest for step, rest in Image().steps if step == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    for step in installs:
        for command in re.findall(r"pip install [^&]+", step):
            assert "--no-deps" in command
            assert "--require-hashes" in command or "--no-index" in command
            for name in re.findall(r"-r /tmp/(\S+)", command):
                assert (ROOT / name).is_file()


def test_every_setting_that_is_shipped_exists():
    """What the files in ``deploy/`` set is documented."""
    known = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text()))
    known |= {"STREAMCHAT_DOMAIN", "STREAMCHAT_HOST", "STREAMCHAT_PASSWORD", "STREAMCHAT_ACCOUNTS"}
    for file in (path for path in DEPLOY.rglob("*") if path.is_file()):
        text = file.read_text()
        used = set(re.findall(r"\b(?:STREAMCHAT|OPENAI|ANTHROPIC)_[A-Z_]+[A-Z]\b", text))
        assert used <= known, file.name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_is_valid(core: Installation, tmp_path: Path):
    """As systemd reads it, with a program that is there."""
    unit = tmp_path / "streamchat.service"
    text = (DEPLOY / "streamchat.service").read_text()
    unit.write_text(text.replace("/opt/streamchat/bin/streamchat", str(core.program)))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    ours = [line for line in done.stderr.splitlines() if "streamchat" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def services() -> dict[str, Any]:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    used = {
        volume.partition(":")[0] for service in compose["services"].values() for volume in service.get("volumes", ())
    }
    assert {name for name in used if not name.startswith(".")} == set(compose["volumes"])
    return compose["services"]


def test_compose_fits_together():
    """What a service waits for is there and has a health check; what is mounted exists; ours are hardened."""
    for name, service in services().items():
        for other in service.get("depends_on", ()):
            assert other in services()
            if isinstance(service["depends_on"], dict):
                assert "healthcheck" in services()[other]
        for volume in service.get("volumes", ()):
            if volume.startswith("./"):
                assert (DEPLOY / volume.partition(":")[0]).is_file()
        if "build" in service:
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_redis_of_compose_is_healthy_and_asks_for_its_password(tmp_path: Path):
    """Its command and its health check, as they are written, but for the port."""
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed")
    service, port = services()["redis"], free_port()
    command = [word.replace("${REDIS_PASSWORD}", "s3cret") for word in service["command"]]
    variables = {"PATH": os.environ["PATH"], "REDIS_PASSWORD": "s3cret"}
    server = subprocess.Popen(
        [*command, "--port", str(port), "--bind", "127.0.0.1"], cwd=tmp_path, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        health = service["healthcheck"]["test"][1].replace("$$", "$").replace("redis-cli", f"redis-cli -p {port}")
        deadline = time.monotonic() + 30
        while subprocess.run(["sh", "-c", health], env=variables, capture_output=True).returncode:
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ping = subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True, text=True)
        assert "NOAUTH" in ping.stdout + ping.stderr
    finally:
        server.terminate()
        server.wait(10)


def test_kubernetes_fits_together():
    """Labels, ports and volumes that name each other; the container is the image's user on a read-only root."""
    objects = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
    assert set(objects) == {"Deployment", "Service", "PodDisruptionBudget", "Ingress"}
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["Service"]["spec"]["selector"] == labels
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (program,) = pod["containers"]
    image = Image()
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == image.user
    assert program["securityContext"]["readOnlyRootFilesystem"]
    assert {mount["name"] for mount in program["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert image.volume in {mount["mountPath"] for mount in program["volumeMounts"]}
    assert program["ports"] == [{"name": "http", "containerPort": int(image.environment["PORT"])}]


def test_the_proxies_of_the_manifests_say_for_whom_they_ask():
    """The program believes the proxy beside it, whose address is one of the engine's or the cluster's."""
    objects = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
    (program,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    kubernetes = {one["name"]: one["value"] for one in program["env"]}
    for settings, peers in (
        (services()["chat-1"]["environment"], ("172.18.0.5", "10.89.0.4", "192.168.96.2", "fd00::5")),
        (kubernetes, ("10.244.1.7",)),
    ):
        rules = ProxyRules.of(settings["STREAMCHAT_TRUSTED_PROXIES"].split(","), None, "")
        for peer in peers:
            assert rules.client_of([b"203.0.113.7"], peer) == "203.0.113.7"
        assert not rules.forwards("203.0.113.7")


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
def test_the_proxy_of_compose_is_valid(tmp_path: Path):
    done = subprocess.run(
        ["caddy", "adapt", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile.compose")],
        env={"STREAMCHAT_DOMAIN": "chat.example", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    dials = re.findall(r'"dial":"([^"]+)"', done.stdout.replace(" ", ""))
    assert dials == ["chat-1:3000", "chat-2:3000"]
