"""The arguments about a single service that runs already and is asked: its address, and how it is reached."""

import argparse

from bench.errors import UsageError
from bench.verbs.argument_types import name, path
from bench.verbs.attached_arguments import (
    AttachedService,
    HeaderVariable,
    ServiceUrl,
    header_variable,
    read_attached,
    url_at,
)
from bench.verbs.model_path import ModelPath, model_path

# how messages name it, which its address does not
NAME = "service"


def add_service(parser: argparse.ArgumentParser, of_strategy: str, of_service: str) -> None:
    """Either a strategy or a service that runs already, with what each is for."""
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--strategy", type=name, metavar="NAME", help=of_strategy)
    whose.add_argument("--url", type=address, metavar="URL", help=of_service)
    add = parser.add_argument
    add(
        "--ca",
        type=path,
        metavar="FILE",
        help="the authorities that a service of https trusts (the system's)",
    )
    add(
        "--header-env",
        type=header,
        action="append",
        default=[],
        metavar="HEADER=VARIABLE",
        help="a header of the service's requests, whose value is in this environment variable and is kept "
        "nowhere",
    )


def read_service(args: argparse.Namespace) -> str | AttachedService:
    """The strategy's name, or the service; raises UsageError for what does not fit together."""
    urls = [] if args.url is None else [args.url]
    if not urls and (args.ca is not None or args.header_env):
        raise UsageError(
            "--ca and --header-env are for a service that runs already: give --url, or leave them out"
        )
    given = argparse.Namespace(url=urls, pid=[], container=[], ca=args.ca, header_env=args.header_env)
    found = read_attached(given)
    return found[0] if found else str(args.strategy)


def model_of(service: AttachedService) -> ModelPath:
    """The model that the service's address names; raises UsageError if it names none."""
    found = model_path(service.url.path)
    if found is None:
        raise UsageError("the address of --url ends without a model: write http://HOST:PORT/v2/models/MODEL")
    return found


def address(text: str) -> ServiceUrl:
    """The address of a service, such as `http://127.0.0.1:8080/v2/models/weather`."""
    return url_at(NAME, text, whose="")


def header(text: str) -> HeaderVariable:
    """A header and an environment variable, such as `Authorization=TOKEN`."""
    return header_variable(f"{NAME}:{text}")
