"""Services that run already as strategies of a session."""

from collections.abc import Sequence
from dataclasses import replace

from bench.errors import UsageError
from bench.measure.payloads import OWN_PATH
from bench.model import SessionOptions, Strategy
from bench.request_sets.encodings import ENCODINGS
from bench.verbs.attached_arguments import AttachedService
from bench.verbs.model_path import model_path, path_of


def attached_strategies(session: SessionOptions, services: Sequence[AttachedService]) -> tuple[Strategy, ...]:
    """The services as strategies, each at its address; raises UsageError if they are not the session's.

    A session that goes on says which services it measured, and not where they are.
    """
    given = {one.public.name: one for one in services}
    for asked in session.attached:
        if asked.name not in given:
            raise UsageError(
                f"{asked.name} ran already when this run began: give --url {asked.name}=URL again"
            )
        if given[asked.name].public != asked:
            raise UsageError(
                f"{asked.name} is given otherwise than when this run began: it was {asked.scheme}, with "
                f"{_told(asked.accounting)}{_headers(asked.headers)}"
            )
    strange = [name for name in given if name not in {one.name for one in session.attached}]
    if strange:
        raise UsageError(f"this run did not measure {strange[0]}: leave out its --url")
    found = tuple(
        attached_strategy(given[asked.name], session.encodings, session.tolerance)
        for asked in session.attached
    )
    # payloads are made once for all: if one must go to an address as it is given, all do
    own = any(one.model == OWN_PATH for one in found)
    return tuple(replace(one, model=OWN_PATH) if own else one for one in found)


def _told(accounting: str) -> str:
    return {"none": "neither --pid nor --container", "process": "--pid"}.get(accounting, "--container")


def _headers(headers: Sequence[str]) -> str:
    return f" and --header-env for {', '.join(headers)}" if headers else ""


def attached_strategy(service: AttachedService, encodings: Sequence[str], tolerance: float) -> Strategy:
    """The service as a strategy that takes these encodings; raises UsageError if its address fits none."""
    url = service.url
    return Strategy(
        name=url.name,
        title="a service that runs already",
        service="",
        port=url.port,
        path=url.path,
        ready_path="",
        encodings=tuple(encodings),
        loop_command=None,
        model=_model(service, encodings),
        tolerance=tolerance,
        attachment=service.attachment,
    )


def _model(service: AttachedService, encodings: Sequence[str]) -> str:
    """The model's name in the path, which encodings of the open inference protocol send to.

    If the path has more than the name, such as a version, they send to the path as it is given, as other
    encodings do.
    """
    found = model_path(service.url.path)
    naming = [one for one in encodings if ENCODINGS[one].names_model]
    if naming and (found is None or not found.infers):
        raise UsageError(
            f"{naming[0]} is sent to /v2/models/MODEL/infer, and the address of {service.url.name} ends "
            "otherwise: give that path in its --url"
        )
    if naming and found is not None and service.url.path != f"{path_of(found.model)}/infer":
        return OWN_PATH
    return found.model if found else "model"
