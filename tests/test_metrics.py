"""What Prometheus reads at the management address, over several processes (operations.md)."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import psutil
import pytest
import requests
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from sipxconfig_soap import metrics
from sipxconfig_soap.db import Database
from sipxconfig_soap.jobs import metrics as of_jobs
from sipxconfig_soap.management import Watch, serving
from sipxconfig_soap.scrape import exposition
from sipxconfig_soap.settings import Settings
from tests.support.client import ADMINISTRATOR
from tests.support.soap import children, envelope
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.support.server import RunningServer

    Run = Callable[..., AbstractContextManager[RunningServer]]

ON = {"SIPXCONFIG_MANAGEMENT_BIND": "127.0.0.1:0"}
THREADS = Settings.load({}).threads
DEPLOY = Path(__file__).parents[1] / "deploy"
SECRET = "Geh3im"


class Page:
    """What ``/metrics`` of a server says now."""

    def __init__(self, server: RunningServer) -> None:
        (url,) = re.findall(r"Management: (\S+)", "".join(server.output))
        with urlopen(f"{url}/metrics", timeout=30) as answer:
            self.text = answer.read().decode()
        self.families = {each.name: each for each in text_string_to_metric_families(self.text)}

    def value(self, sample: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels."""
        return sum(
            each.value
            for family in self.families.values()
            for each in family.samples
            if each.name == sample and labels.items() <= each.labels.items()
        )


def send(server: RunningServer, service: str, operation: str, **values: Any) -> int:
    return requests.post(
        server.service(service),
        envelope(f"<con:{operation}>{children(values)}</con:{operation}>"),
        auth=ADMINISTRATOR,
        headers={"Content-Type": "text/xml", "Connection": "close"},
        timeout=30,
    ).status_code


def test_requests_of_all_processes_are_counted_by_service_operation_and_outcome(
    run_server: Run,
) -> None:
    with run_server(**ON) as server:
        for _ in range(20):  # over both processes
            assert send(server, "UserService", "FindUser") == 200
        assert send(server, "UserService", "AddUser", user={"userName": "200"}) == 200
        assert send(server, "UserService", "AddUser", user={"userName": "200"}) == 500
        assert send(server, "UserService", "NoSuchThing") == 500
        url = server.service("UserService")
        for path, status in (("", 200), ("?wsdl", 200)):
            found = requests.get(url + path, auth=ADMINISTRATOR, timeout=30)
            assert found.status_code == status
        assert requests.get(url, auth=("superadmin", SECRET), timeout=30).status_code == 401
        assert requests.get(f"{server.url}/{SECRET}", timeout=30).status_code == 404
        requests.get(f"{server.url}/healthz", timeout=30)
        # Each process says how many it has when it is there.
        wait_for(lambda: Page(server).value("sipxconfig_database_connections_most") == 2 * THREADS)
        page = Page(server)
        counted = "sipxconfig_requests_total"
        assert page.value(counted, operation="findUser", outcome="ok") == 20
        add = {"service": "UserService", "operation": "addUser"}
        assert page.value(counted, **add, outcome="ok") == 1
        assert page.value(counted, **add, outcome="refused") == 1
        assert page.value(counted, service="UserService", operation="", outcome="bad") == 1
        assert page.value(counted, operation="wsdl", outcome="ok") == 1
        assert page.value(counted, outcome="unauthorized") == 1
        assert page.value(counted, service="", operation="", outcome="bad") == 1
        assert page.value(counted) == 27
        assert page.value("sipxconfig_request_seconds_count", operation="findUser") == 20
        assert (
            page.value("sipxconfig_request_seconds_bucket", operation="findUser", le="+Inf") == 20
        )
        assert page.value("sipxconfig_database_seconds_count") > 40
        assert page.value("sipxconfig_logins_total", outcome="right") == 25
        assert page.value("sipxconfig_logins_total", outcome="wrong") == 1
        assert page.value("sipxconfig_database_up") == 1
        assert page.value("sipxconfig_database_connections_in_use") == 0
        assert SECRET not in page.text
        assert 'python="' in page.text


def test_jobs_are_counted_by_the_worker_beside_and_as_they_stand(run_server: Run) -> None:
    with run_server(worker=True, **ON, SIPXCONFIG_WORKERS="1") as server:
        for serial, model in (("p1", "bria"), ("0004f2000001", "polycom331")):
            phone = {"serialNumber": serial, "modelId": model}
            assert send(server, "PhoneService", "AddPhone", phone=phone) == 200
        assert send(server, "PhoneService", "ManagePhone", generateProfiles="true") == 200
        wait_for(
            lambda: (
                Page(server).value("sipxconfig_jobs_finished_total", kind="profiles", state="done")
                == 2
            )
        )
        page = Page(server)
        assert page.value("sipxconfig_profile_files_written_total") >= 2
        assert page.value("sipxconfig_jobs", kind="restart", state="failed") == 0


def test_a_process_that_ends_holds_no_connection_and_its_requests_stay_counted(
    run_server: Run,
) -> None:
    with run_server(**ON, SIPXCONFIG_WORKERS="1") as server:
        for _ in range(5):
            assert send(server, "UserService", "FindUser") == 200
        (before,) = server.children("serve")
        before.kill()
        psutil.wait_procs([before], timeout=30)
        wait_for(lambda: server.children("serve") - {before})
        wait_for(lambda: send(server, "UserService", "FindUser") == 200)
        page = wait_for(
            lambda: next(
                (
                    page
                    for page in [Page(server)]
                    if page.value("sipxconfig_database_connections_most") == THREADS
                ),
                None,
            )
        )
        assert page.value("sipxconfig_requests_total", operation="findUser") >= 6


def test_the_files_of_the_counters_go_with_the_server(run_server: Run, tmp_path: Path) -> None:
    with run_server(**ON, SIPXCONFIG_WORKERS="1", TMPDIR=str(tmp_path)) as server:
        Page(server)
        assert list(tmp_path.glob("sipxconfig-soap-metrics-*"))
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: send(server, "UserService", "FindUser") == 200)
        assert Page(server).value("sipxconfig_requests_total") >= 1
    assert not list(tmp_path.glob("sipxconfig-soap-metrics-*"))


def test_head_and_other_methods(tmp_path: Path, database: Database) -> None:
    watch = Watch(lambda: (200, "ready"), exposition(str(tmp_path), database))
    with serving(("127.0.0.1", 0), watch) as url:
        head = requests.head(f"{url}/metrics", timeout=30)
        assert (head.status_code, head.content) == (200, b"")
        for path in ("/metrics", "/healthz"):
            refused = requests.post(f"{url}{path}", timeout=30)
            assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")


def test_without_the_setting_there_is_nothing_to_read(run_server: Run) -> None:
    with run_server(SIPXCONFIG_WORKERS="1") as server:
        assert requests.get(f"{server.url}/metrics", timeout=30).status_code == 404
        assert "Management:" not in "".join(server.output)


def test_where_nobody_can_ask_nothing_is_counted() -> None:
    metrics.count_request("NobodysService", "nothing", "ok", 0.1)
    metrics.count_login("nobody's")
    found = (each for family in REGISTRY.collect() for each in family.samples)
    labels = {label for sample in found for label in sample.labels.values()}
    assert labels.isdisjoint({"NobodysService", "nobody's"})


def test_while_the_database_is_away_the_page_says_so(tmp_path: Path) -> None:
    nobody = Database("postgresql://nobody@127.0.0.1:1/nothing", pool_size=1)
    read = exposition(str(tmp_path), nobody)
    body = b"".join(read({"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}, lambda *_: None))
    assert b"\nsipxconfig_database_up 0.0\n" in body
    # Nobody knows how many jobs there are, and 0 would be a lie.
    assert b"sipxconfig_jobs{" not in body


def test_what_cannot_be_read_hides_nothing_else(tmp_path: Path, database: Database) -> None:
    read = exposition(str(tmp_path), database)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs RENAME TO elsewhere")
    try:
        body = b"".join(read({"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}, lambda *_: None))
    finally:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO jobs")
    assert b"\nsipxconfig_database_up 1.0\n" in body
    assert b"\nsipxconfig_build{" in body
    assert b"sipxconfig_jobs{" not in body


@pytest.fixture
def lone_worker(
    database: Database, database_url: str, tmp_path: Path
) -> Iterator[subprocess.Popen[str]]:
    assert database
    environment = {name: text for name, text in os.environ.items() if "SIPXCONFIG" not in name}
    own = {
        "SIPXCONFIG_DATABASE_URL": database_url,
        "SIPXCONFIG_DATA_DIR": str(tmp_path),
        **ON,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "sipxconfig_soap", "worker"],
        env=environment | own,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.terminate()


def test_a_worker_alone_shows_its_health_and_its_jobs(
    lone_worker: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert lone_worker.stdout is not None
    url = lone_worker.stdout.readline().removeprefix("Management: ").strip()
    assert requests.get(f"{url}/healthz", timeout=30).text == "alive\n"
    assert requests.get(f"{url}/readyz", timeout=30).text == "ready\n"
    found = requests.get(f"{url}/metrics", timeout=30).text
    assert 'sipxconfig_jobs{kind="profiles",state="waiting"} 0.0' in found
    assert "sipxconfig_build{" in found
    assert tmp_path
    # What it counts itself is there as soon as it works, which is a moment later.
    until = time.monotonic() + 30
    while "\nsipxconfig_jobs_recovered_total 0.0\n" not in found:
        assert time.monotonic() < until, found
        time.sleep(0.2)
        found = requests.get(f"{url}/metrics", timeout=30).text


STOPPED_AT_ONCE = """
import os, runpy, signal, threading
start = threading.Thread.start
def start_and_stop(thread):
    start(thread)
    if thread.name.endswith("Loop"):
        os.kill(os.getpid(), signal.SIGTERM)
threading.Thread.start = start_and_stop
runpy.run_module("sipxconfig_soap", run_name="__main__")
"""


@pytest.mark.usefixtures("database")
def test_a_worker_that_is_watched_ends_though_it_has_just_begun(
    database_url: str, tmp_path: Path
) -> None:
    environment = {name: text for name, text in os.environ.items() if "SIPXCONFIG" not in name}
    own = {"SIPXCONFIG_DATABASE_URL": database_url, "SIPXCONFIG_DATA_DIR": str(tmp_path), **ON}
    command = [sys.executable, "-c", STOPPED_AT_ONCE, "worker"]
    done = subprocess.run(
        command, env=environment | own, timeout=60, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("Management: http://127.0.0.1:")


# -- what is shipped for Prometheus and Grafana --------------------------------------------------

_WORD = re.compile(r"\b(sipxconfig_\w+)")


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The names of all samples that there can be."""
    # Both modules have told it of theirs.
    assert metrics.REQUESTS
    assert of_jobs.FINISHED
    return set(REGISTRY._names_to_collectors) | {
        "sipxconfig_build",
        "sipxconfig_database_up",
        "sipxconfig_jobs",
        "sipxconfig_jobs_oldest_seconds",
    }


def expressions(node: Any) -> Iterator[str]:
    """All queries in a dashboard."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query", "definition") and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(node, list):
        for each in node:
            yield from expressions(each)


def test_the_dashboard_asks_for_metrics_that_exist(known: set[str]) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "sipxconfig-soap.json").read_text())
    asked = [name for each in expressions(dashboard) for name in _WORD.findall(each)]
    assert len(asked) > 10
    assert set(asked) <= known


def test_the_alerts_ask_for_metrics_that_exist(known: set[str]) -> None:
    text = (DEPLOY / "prometheus" / "sipxconfig-soap.rules.yml").read_text()
    asked = _WORD.findall(text)
    assert len(asked) >= 5
    assert set(asked) <= known


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here")
def test_prometheus_takes_the_rules_and_they_fire(tmp_path: Path) -> None:
    rules = DEPLOY / "prometheus" / "sipxconfig-soap.rules.yml"
    for command in (
        ["promtool", "check", "rules", str(rules)],
        ["promtool", "test", "rules", str(DEPLOY / "prometheus" / "sipxconfig-soap.tests.yml")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
