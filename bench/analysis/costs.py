"""What a million requests cost, from the price of a core-hour that the user gave."""


def core_count(cores: object) -> int | None:
    """How many cores a list such as `0,2-3` names; None where there is no such list."""
    if not cores:
        return None
    count = 0
    for part in str(cores).split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            return None
        count += int(last or first) - int(first) + 1
    return count
