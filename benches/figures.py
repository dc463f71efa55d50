#!/usr/bin/env python3
"""Whole-process figures of retaind against its own emulator on loopback: requests, wall time, CPU time, peak memory, start-up time.

    cargo build --release && benches/figures.py target/release/retaind

Needs Python 3.9 and nothing else. Prints a table; docs/performance.md says what the rows mean and on what they were measured.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

POLICY = """version: 1
policies:
  - name: bench
    mode: {mode}
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
    (folder / "retaind.yaml").write_text(SETTINGS.format(endpoint=emulator.endpoint))
    return str(folder / "retaind.yaml")


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


def main():
    program = os.path.abspath(sys.argv[1] if len(sys.argv) == 2 else "target/release/retaind")
    row("load average at the start", " ".join(f"{load:.2f}" for load in os.getloadavg()))
    start_up(program)
    deletes(program, "docker")
    deletes(program, "oci")
    memory(program, 100_000)


main()
