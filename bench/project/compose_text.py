"""A project's compose.yaml, made of this repository's: the same stanzas and limits, for another model.

Every change is a text that must be there once. So a change of the repository's file either reaches the
projects by itself, or is refused here, and a test says so.
"""

import json
import re
from collections.abc import Iterable

from bench.project.project_plan import ProjectPlan

HEADER = """\
# The services that serve the model, and the strategies that bench compares: each service with the label
# bench.strategy is a strategy. Set any ${NAME:-default} in the environment or in .env, and any other setting
# of a service in service.env, one NAME=value on each line. The services' sources are in services/.

"""
OF_THE_STORE = (
    # what the stand-in for a store needs, which a project does not have
    ('"model-store,localhost', '"localhost'),
    ("  depends_on:\n    model-publisher: {condition: service_completed_successfully}\n", ""),
    ("  networks: [models, front]\n", "  networks: [front]\n"),
    (
        "  # the stand-in holds the bucket of this name; any other gs:// URI goes to Google Cloud Storage "
        "itself\n"
        "  LOCAL_STORE: models.local=http://model-store:9023\n",
        "",
    ),
    (
        "  # where the publisher writes\n  publishing: {internal: true}\n"
        "  # where services read\n  models: {internal: true}\n",
        "",
    ),
    ("the empty folder of this repository\n", "an empty folder\n"),
    ("set WHEELS_DIR=./wheels)", "set WHEELS_DIR=./services/wheels)"),
    (":-./wheels}}", ":-./services/wheels}}"),
)
OUTSIDE = "  # no name outside is looked up; compose.remote.yaml opens the way to a store elsewhere\n"
NO_NAMES = "  dns: [127.0.0.1]\n"
NO_WAY_OUT = 'ip_masquerade: "false"'
CLOSED = (
    (
        OUTSIDE,
        "  # no name outside is looked up: for a model that lies elsewhere leave this out, and see `front`\n",
    ),
    (
        "  front:\n",
        '  front:\n    # "true" opens the way to a store; after a change run `docker compose down` once\n',
    ),
)
OPEN = ((OUTSIDE + NO_NAMES, ""), (NO_WAY_OUT, 'ip_masquerade: "true"'))
STANZA = re.compile(r"^  (\w+):(?: &[\w-]+)?\n(?:    .*\n)+", re.MULTILINE)
ANCHOR = re.compile(r"(?<=:) &[\w-]+$", re.MULTILINE)
QUALITY = re.compile(r"^(?:      # .*\n)?      bench\.quality: .*\n", re.MULTILINE)
MODEL_URI = re.compile(r"\$\{(\w+_MODEL_URI):-[^}]*\}")
OWN = """
  # A strategy of your own: write mine/Dockerfile, fill this in, and take the marks of comment away. The
  # service must take the requests of requests/ and answer as they expect, at port 8080 of its container.
  # my_serving:
  #   <<: *service
  #   image: {name}/my_serving
  #   build: {{context: mine}}
  #   command: ["python", "server.py"]
  #   environment: {{PORT: "8080"}}
  #   ports: ["${{BIND_ADDRESS:-127.0.0.1}}:${{MINE_PORT:-8083}}:8080"]
  #   healthcheck: {{disable: true}}
  #   labels:
  #     bench.strategy: mine
  #     bench.title: My own way
  #     bench.port: "8080"
  #     bench.path: /predict/
  #     bench.ready: /
  #     bench.payloads: json
"""


def project_compose(text: str, plan: ProjectPlan) -> str:
    """The compose.yaml of a project; raises ValueError if `text` is not what the changes are made for."""
    head, _, services = text.partition("\nservices:\n")
    before, _, head = head.partition("name: model-serving-bench\n")
    if not before or not services:
        raise ValueError("compose.yaml has no name and services where they are looked for")
    head = _changed(head, (*OF_THE_STORE, *(OPEN if plan.remote else CLOSED), _mounted()))
    stanzas = {found[1].removesuffix("_serving"): found[0] for found in STANZA.finditer(services)}
    chosen = [_stanza(stanzas[name], plan, uri) for name, uri in plan.strategies.items()]
    own = OWN.format(name=plan.name)
    return f"{HEADER}name: {json.dumps(plan.name)}\n{head}\nservices:\n{chr(10).join(chosen)}{own}"


def _mounted() -> tuple[str, str]:
    credentials = "    - ${GOOGLE_APPLICATION_CREDENTIALS:-/dev/null}:"
    return credentials, f"    - ./model:/models:ro\n{credentials}"


def _stanza(text: str, plan: ProjectPlan, uri: str) -> str:
    """One service's stanza, for the project's model."""
    changes = [
        ("    image: model-serving-bench/", f"    image: {plan.name}/"),
        ("      context: .\n", "      context: services\n"),
        ("      bench.model: weather\n", f"      bench.model: {_scalar(plan.model)}\n"),
    ]
    if not plan.remote:  # a file is read where it is, so there is no cache to start warm with
        changes.append(("      bench.cache: /tmp/models\n", ""))
    text = _changed(ANCHOR.sub("", text), changes)
    if plan.encodings is not None:
        text, found = re.subn(r"bench\.payloads: .*", f"bench.payloads: {','.join(plan.encodings)}", text)
        _once(found, "bench.payloads")
        if "raw" not in plan.encodings:  # a model of tensors, which nothing transforms
            text = QUALITY.sub("", text)
    text, found = MODEL_URI.subn(lambda name: f"${{{name[1]}:-{uri}}}", text)
    _once(found, "MODEL_URI")
    return text


def _scalar(text: str) -> str:
    """The text as YAML that compose takes for just this text."""
    return json.dumps(text).replace("$", "$$")


def _changed(text: str, changes: Iterable[tuple[str, str]]) -> str:
    for old, new in changes:
        _once(text.count(old), old)
        text = text.replace(old, new)
    return text


def _once(found: int, what: str) -> None:
    if found != 1:
        raise ValueError(f"compose.yaml has {what.strip()!r} {found} times and not once: see compose_text.py")
