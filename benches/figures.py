#!/usr/bin/env python3
"""Whole-process figures of retaind against its own emulator on loopback: requests, wall time, CPU time, peak memory, start-up time, and
what the daemon takes while it waits.

    cargo build --release && benches/figures.py target/release/retaind

Needs Python 3.9 and nothing else. Prints a table; docs/performance.md says what the rows mean and on what they were measured.
"""

import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

POLICY = """version: 1
policies:
  - name: bench
    mode: {mode}
    schedule: "* * * * *"
    repositories: {{ include: ["bench/images"] }}
    rules:
      - {{ name: pull-requests, delete: {{ tags: {{ glob: ["pr-*"] }}, older_than: 30d }} }}
    limits: {{ max_deletes: 100000, max_delete_percent: 100 }}
"""
SETTINGS = """version: 1
registries:
  - {{ name: bench, endpoint: "{endpoint}", auth: {{ kind: basic, username: admin, password_file: password }} }}
policies: policies.yaml
state: {{ dir: state }}
server: {{ listen: "127.0.0.1:{port}" }}
"""
SEED = """repository bench/images
  repeat {condemned} n image old-{{n}} {family} tags pr-{{n}} age 40d size 80MB
  repeat {kept} n image new-{{n}} {family} tags main-{{n}} age 5d size 80MB
"""


class Emulator:
    """The emulator with one repository, in its own process."""

    def __init__(self, program, folder, condemned, kept, family):
        (folder / "seed.txt").write_text(SEED.format(condemned=condemned, kept=kept, family=family))
        (folder / "password").write_text("not a secret\n")
        arguments = ["emulate", "--listen", "127.0.0.1:0", "--seed", folder / "seed.txt", "--admin-password-file", folder / "password"]
        self.process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().split()[-1]

    def requests(self):
        """How often each method was answered, tokens apart, since the last call."""
        with urllib.request.urlopen(f"{self.endpoint}/_emulator/requests") as answer:
            counts = json.load(answer)["counts"]
        methods = {}
        for row in counts:
            kind = "token" if "oauth2" in row["route"] else row["method"]
            methods[kind] = methods.get(kind, 0) + row["count"]
        methods.pop("EMULATOR", None)
        before, self.before = getattr(self, "before", {}), dict(methods)
        return {kind: count - before.get(kind, 0) for kind, count in methods.items()}

    def __enter__(self):
        self.requests()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def run(program, folder, *arguments):
    """Runs to the end: wall seconds, CPU seconds, peak memory in MB."""
    with open(folder / "output", "wb") as output:
        began = time.monotonic()
        process = subprocess.Popen([program, *arguments], stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{arguments} ended with {process.returncode}: {(folder / 'output').read_text()[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def prepare(folder, emulator, mode):
    (folder / "policies.yaml").write_text(POLICY.format(mode=mode))
    (folder / "retaind.yaml").write_text(SETTINGS.format(endpoint=emulator.endpoint, port=free_port()))
    return str(folder / "retaind.yaml")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def row(name, text):
    print(f"{name:<58} {text}", flush=True)


def measured(wall, cpu, memory):
    return f"{wall:.2f} s wall, {cpu:.2f} s CPU, {memory:.1f} MB peak"


def start_up(program):
    times = []
    for _ in range(21):
        began = time.monotonic()
        subprocess.run([program, "--version"], check=True, stdout=subprocess.DEVNULL)
        times.append((time.monotonic() - began) * 1000)
    row("start to end of --version", f"{statistics.median(times):.1f} ms median, {min(times):.1f} ms best of 21")


def deletes(program, family):
    condemned, kept = 1000, 9000
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Emulator(program, folder, condemned, kept, family) as emulator:
            config = prepare(folder, emulator, "enforce")
            if family == "oci":
                figures = run(program, folder, "plan", "--config", config)
                requests = emulator.requests()
                row("first plan of 10,000 OCI images (each document read once)", f"{sum(requests.values())} requests, {measured(*figures)}")
            figures = run(program, folder, "run", "--once", "--config", config)
            requests = emulator.requests()
            total = sum(requests.values())
            row(
                f"1,000 of 10,000 {family} images deleted",
                f"{total} requests ({total / condemned:.3f} each, {requests.get('DELETE', 0) / condemned:.3f} writes), {measured(*figures)}",
            )
            row("  by method", ", ".join(f"{count} {kind}" for kind, count in sorted(requests.items()) if count))


def memory(program, manifests):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Emulator(program, folder, manifests // 10, manifests - manifests // 10, "docker") as emulator:
            config = prepare(folder, emulator, "dry-run")
            figures = run(program, folder, "run", "--once", "--config", config)
            row(f"dry run over one repository of {manifests:,} manifests", f"{sum(emulator.requests().values())} requests, {measured(*figures)}")


class Daemon:
    """`retaind run` from its start until it is ready."""

    def __init__(self, program, folder, config):
        self.server = "http://" + pathlib.Path(config).read_text().split('listen: "')[1].split('"')[0]
        self.log = folder / "daemon"
        with open(self.log, "wb") as log:
            began = time.monotonic()
            self.process = subprocess.Popen([program, "run", "--config", config], stdout=log, stderr=log)
        while not self.is_ready():
            if self.process.poll() is not None or 30 < time.monotonic() - began:
                sys.exit(f"the daemon is not ready: {self.log.read_text()[-2000:]}")
            time.sleep(0.001)
        self.ready_milliseconds = (time.monotonic() - began) * 1000

    def is_ready(self):
        try:
            return self.get("/readyz") == b"ok\n"
        except (urllib.error.URLError, ConnectionError):
            return False

    def get(self, path):
        with urllib.request.urlopen(self.server + path) as answer:
            return answer.read()

    def wait_for_a_run(self):
        deadline = time.monotonic() + 130
        while not json.loads(self.get("/api/v1/status"))["policies"][0]["last_run"]:
            if deadline < time.monotonic():
                sys.exit(f"no run: {self.log.read_text()[-2000:]}")
            time.sleep(0.2)

    def resident(self):
        """What it holds in memory now, in MB."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / 1e6

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """Milliseconds from SIGTERM to the end."""
        began = time.monotonic()
        self.process.terminate()
        if self.process.wait() != 0:
            sys.exit(f"the daemon ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
        return (time.monotonic() - began) * 1000


def daemon(program):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Emulator(program, folder, 1000, 9000, "docker") as emulator:
            config = prepare(folder, emulator, "dry-run")
            ready, stopped = [], []
            for _ in range(11):
                started = Daemon(program, folder, config)
                ready.append(started.ready_milliseconds)
                stopped.append(started.stop())
            row("start of the daemon to ready (signed in to the registry)", f"{statistics.median(ready):.0f} ms median, {min(ready):.0f} to {max(ready):.0f} ms in 11")
            row("SIGTERM to the end of an idle daemon", f"{statistics.median(stopped):.0f} ms median, {max(stopped):.0f} ms worst of 11")
            started = Daemon(program, folder, config)
            before = started.resident()
            used = started.cpu_seconds()
            started.wait_for_a_run()
            after, used = started.resident(), started.cpu_seconds() - used
            row("memory of the daemon when it is ready", f"{before:.1f} MB")
            row("  after a dry run over 10,000 docker images", f"{after:.1f} MB; {used:.2f} s CPU until then")
            used, seconds = started.cpu_seconds(), 20
            time.sleep(seconds)
            row("  CPU while it waits", f"{(started.cpu_seconds() - used) / seconds * 100:.2f} %")
            started.stop()


def main():
    program = os.path.abspath(sys.argv[1] if len(sys.argv) == 2 else "target/release/retaind")
    row("load average at the start", " ".join(f"{load:.2f}" for load in os.getloadavg()))
    start_up(program)
    daemon(program)
    deletes(program, "docker")
    deletes(program, "oci")
    memory(program, 100_000)


main()
