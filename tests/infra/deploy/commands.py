"""The commands in the deployment files, and whether the programs' own command lines accept them; nothing is run."""

import re
import shlex

import click
import cyclopts
from prefect.cli._app import _app as prefect_line
from ray.scripts.scripts import cli as ray_line

from flows.cli import main
from tests.infra.deploy.documents import COMPOSE, DEPLOY, KUBERNETES, RAY_FILES, documents, nodes, ray_job

PROGRAMS = ("lensscan", "prefect", "ray")


def commands():
    """Yield the place of each command of lensscan, Prefect and Ray, and its words."""
    for name, service in documents(COMPOSE)[0]["services"].items():
        for words in (service.get("command", []), service.get("healthcheck", {}).get("test", [""])[1:]):
            if words and words[0] in PROGRAMS:
                yield f"compose.yaml {name}", [re.sub(r"\$\{.*\}", "2", word) for word in words]
    for path in sorted(KUBERNETES.glob("*.yaml")):
        for tree in documents(path):
            for words in (node["args"] for node in nodes(tree) if isinstance(node.get("args"), list)):
                yield path.name, words
            if path.stem in RAY_FILES[1:]:
                yield path.name, shlex.split(ray_job(tree)["entrypoint"].replace("$(date --utc +%F)", "2026-11-24"))
    for script in ("slurm/scan_night.sbatch", "Dockerfile"):
        yield from ((script, words) for words in in_script((DEPLOY / script).read_text(encoding="utf-8")))


def in_script(text):
    """Yield the commands of a script, with values for the variables that are words of a command."""
    for line in text.replace("\\\n", " ").splitlines():
        if found := re.match(r'(?:CMD (\[.*\])|(?:until |  )?(?:"\$\{on\[@\]\}" "\$\S+" )?((?:lensscan|ray) .*))', line):
            code = found[1].strip("[]").replace(",", "") if found[1] else found[2]
            code = re.split(r" >|\s&$|;", code.replace(' "$@"', "").replace('"${dated[@]}"', "--night 2026-11-24"))[0]
            code = re.sub(r"\$\(\([^)]*\)\)", "20001", code)
            yield shlex.split(re.sub(r'"?\$(?:(?:port|cpus|wanted)\b|\{[^}]*\}|\w+)"?', "2", code))


def complaint_of(words):
    """Return what the program's own parser says against a command; None if it accepts it."""
    program, *rest = words
    try:
        if program == "ray":
            context = ray_line.make_context("ray", list(rest))
            name, command, options = ray_line.resolve_command(context, rest)
            command.make_context(name, options, parent=context)
        else:
            line = prefect_line if program == "prefect" else main.app
            # Prefect takes this option off before its commands see the words.
            rest = [word for word in rest if (program, word) != ("prefect", "--no-prompt")]
            line.parse_args(rest, exit_on_error=False, print_error=False)
    except (click.UsageError, cyclopts.CycloptsError) as error:
        return str(error)
    return None
