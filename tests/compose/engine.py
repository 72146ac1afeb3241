"""podman-compose as a user would call it, and small helpers of the test."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

# An address of this host that nobody else listens on, so that a demo or another project may have 127.0.0.1.
ADDRESS = "127.0.15.1"


class Failure(Exception):
    """What was expected, and what was found."""


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failure(otherwise)


@contextmanager
def step(title: str) -> Iterator[None]:
    began = time.monotonic()
    print(f"        {title}", flush=True)
    yield
    print(f"ok      {title} ({time.monotonic() - began:.0f} s)", flush=True)


def until(what: str, seconds: float, holds: Callable[[], bool], found: Callable[[], str] = lambda: "") -> None:
    """Waits for it. What cannot be asked yet does not hold yet."""
    end, trouble = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            if holds():
                return
            trouble = ""
        except (Failure, OSError, ValueError, KeyError) as error:
            trouble = str(error)
        time.sleep(0.25)
    raise Failure(f"{what}: not within {seconds} s {trouble} {found()}")


def get(port: int, path: str) -> tuple[int, str]:
    return request(port, path, None)


def post(port: int, path: str, body: object) -> tuple[int, str]:
    return request(port, path, json.dumps(body).encode())


def request(port: int, path: str, body: bytes | None) -> tuple[int, str]:
    asked = urllib.request.Request(f"http://{ADDRESS}:{port}{path}", data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


class Compose:
    """The project of this test, with an environment file of its own."""

    def __init__(self, project: str, environment: Path) -> None:
        self.project = project
        self.environment = environment
        self.variables = dict(os.environ)

    def command(self, *arguments: str) -> list[str]:
        return ["podman-compose", "--project-name", self.project, "--env-file", str(self.environment), *arguments]

    def run(self, *arguments: str, stdin: str | None = None, fails: bool = False) -> str:
        done = subprocess.run(self.command(*arguments), input=stdin, capture_output=True, text=True, timeout=300, env=self.variables)
        check((done.returncode == 0) != fails, f"podman-compose {' '.join(arguments)}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout + (done.stderr if fails else "")

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.variables)

    def scale(self, up: list[str], numbers: dict[str, int]) -> None:
        """podman-compose takes one --scale of a call, Docker's takes all in one."""
        for service, number in numbers.items():
            self.run(*up, "--scale", f"{service}={number}", "--no-recreate")

    def psql(self, server: str, user: str, database: str, query: str, fails: bool = False) -> str:
        """Asked often, so without podman-compose."""
        command = ["podman", "exec", f"{self.project}_{server}_1", "psql", "-XAtq", "-U", user, "-d", database, "-c", query]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        check((done.returncode == 0) != fails, f"{user} on {database}: {query}: {done.stdout}{done.stderr}")
        return (done.stdout + done.stderr).strip()

    def containers(self, service: str | None = None) -> list[str]:
        """The names of those that run."""
        filters = ["--filter", f"label=io.podman.compose.project={self.project}"]
        if service:
            filters += ["--filter", f"label=com.docker.compose.service={service}"]
        done = subprocess.run(["podman", "ps", "--format", "{{.Names}}", *filters], capture_output=True, text=True, check=True)
        return done.stdout.split()

    def password(self, system: str) -> str:
        lines = (line.split("=", 1) for line in self.environment.read_text().splitlines() if "=" in line)
        return dict(lines)[f"{system}_PASSWORD"]

    def show_logs(self) -> None:
        names = subprocess.run(["podman", "ps", "--all", "--format", "{{.Names}} {{.Status}}", "--filter", f"label=io.podman.compose.project={self.project}"],
                               capture_output=True, text=True).stdout
        for line in names.splitlines():
            print(f"---- {line}", flush=True)
            subprocess.run(["podman", "logs", "--tail", "15", line.split()[0]], stdout=sys.stdout, stderr=sys.stdout)
