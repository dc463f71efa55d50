#!/usr/bin/env python3
"""Writes what the chart repeats from elsewhere, or with --check says what is not fresh.

values.schema.json       values.schema.yaml of this folder, with the languages of policies and settings from config/*.schema.json
README.md                its table of values, from the comments of values.yaml
files/*                  alerts and dashboard, from deploy/

Needs PyYAML. Fails when values.yaml, its comments and the schema do not name the same keys.
"""

import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE.parent
PROJECT = CHART.parent.parent
COPIES = {
    "files/alerts.yaml": PROJECT / "deploy/prometheus/alerts.yaml",
    "files/dashboard.json": PROJECT / "deploy/grafana/retaind.json",
}
BEGIN, END = "<!-- values: generated -->", "<!-- end of values -->"


def embedded(language):
    """The schema of a language, its definitions named after it so that two of them do not meet."""
    schema = json.loads((PROJECT / f"config/{language}.schema.json").read_text())
    short = {"policies": "policies", "retaind": "settings"}[language]

    def renamed(node):
        if isinstance(node, dict):
            return {key: re.sub("^#/definitions/", f"#/definitions/{short}-", value) if key == "$ref" else renamed(value) for key, value in node.items()}
        return [renamed(item) for item in node] if isinstance(node, list) else node

    definitions = {f"{short}-{name}": renamed(definition) for name, definition in schema.pop("definitions").items()}
    schema.pop("$schema")
    return {**definitions, short: renamed(schema)}


def reachable(schema):
    """Only what is referred to: Helm compiles every definition on every call."""
    definitions, used, waiting = schema["definitions"], set(), [{**schema, "definitions": {}}]
    while waiting:
        for name in re.findall(r'"#/definitions/([^"]+)"', json.dumps(waiting.pop())):
            if name not in used:
                used.add(name)
                waiting.append(definitions[name])
    schema["definitions"] = {name: definitions[name] for name in sorted(used)}
    return schema


def schema_text():
    schema = yaml.safe_load((HERE / "values.schema.yaml").read_text())
    schema["definitions"] |= embedded("policies") | embedded("retaind")
    return json.dumps(reachable(schema), indent=2, sort_keys=True) + "\n"


def documented():
    """(key, default, comment) of each `# --` comment of values.yaml, in its order."""
    path, comment, rows = [], None, []
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for line in (CHART / "values.yaml").read_text().splitlines():
        if match := re.match(r"^ *# -- (.*)", line):
            comment = [match[1]]
        elif (match := re.match(r"^ *# (.*)", line)) and comment is not None:
            comment.append(match[1])
        elif match := re.match(r"^( *)([A-Za-z]+):", line):
            depth = len(match[1]) // 2
            path[depth:] = [match[2]]
            if comment is not None:
                value = values
                for key in path[: depth + 1]:
                    value = value[key]
                rows.append((".".join(path[: depth + 1]), value, " ".join(comment)))
            comment = None
        else:
            comment = None
    return rows


def table(rows):
    lines = ["| key | if left out | meaning |", "|---|---|---|"]
    for key, value, comment in rows:
        shown = json.dumps(value) if value != "" else '""'
        lines.append(f"| `{key}` | `{shown}` | {comment.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def complain_about_keys(rows):
    """Every key of values.yaml is documented, itself or from above, and in the schema; and the schema has no other."""
    schema = json.loads(schema_text())
    named = {key for key, _, _ in rows}
    problems = []

    def resolved(node):
        return resolved(schema["definitions"][node["$ref"].rsplit("/", 1)[1]]) if "$ref" in node else node

    def walk(values, node, path):
        node = resolved(node)
        properties = node.get("properties", {})
        for key in properties.keys() - values.keys():
            problems.append(f"values.schema.yaml names {'.'.join([*path, key])}, values.yaml does not")
        for key, value in values.items():
            here = [*path, key]
            if key not in properties:
                problems.append(f"values.yaml names {'.'.join(here)}, values.schema.yaml does not")
            elif ".".join(here) not in named:
                if isinstance(value, dict) and value:
                    walk(value, properties[key], here)
                else:
                    problems.append(f"values.yaml does not say what {'.'.join(here)} means")

    walk(yaml.safe_load((CHART / "values.yaml").read_text()), schema, [])
    if problems:
        sys.exit("error: " + "\nerror: ".join(sorted(problems)))


def main():
    rows = documented()
    complain_about_keys(rows)
    readme = (CHART / "README.md").read_text()
    before, rest = readme.split(BEGIN)
    wanted = {
        CHART / "values.schema.json": schema_text(),
        CHART / "README.md": f"{before}{BEGIN}\n{table(rows)}\n{END}{rest.split(END)[1]}",
        **{CHART / name: source.read_text() for name, source in COPIES.items()},
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv and stale:
        names = ", ".join(str(path.relative_to(PROJECT)) for path in stale)
        sys.exit(f"error: not fresh: {names}; run charts/retaind/schema/generate.py and read what changes")
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(wanted[path])


main()
