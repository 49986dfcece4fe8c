"""The colours of every plot, and what becomes of them where a reader prefers a dark page."""

PAPER = "#FFFFFF"
INK = "#222222"
QUIET = "#555555"
PALE = "#777777"
GRID = "#DDDDDD"
# warm-up, drain, and where points are dominated
OUTSIDE = "#EFEFEF"
LIMIT = "#A00000"
# layers that all images share
SHARED = "#BBBBBB"
# around the parts of a stacked bar and in their hatches: the parts are light, so it stays dark
EDGE = "#333333"

# strategies' colours and the parts of bars are not here: they are seen on either paper
DARK = {
    PAPER: "#14171B",
    INK: "#E4E8ED",
    QUIET: "#A3ADB9",
    PALE: "#8A939D",
    GRID: "#343B44",
    OUTSIDE: "#262C33",
    LIMIT: "#FF9A91",
}
_RULE = '[style*="{kind}: {light}"],[{kind}="{light}"]{{{kind}:{dark}!important}}'


def with_dark_scheme(svg: str) -> str:
    """The SVG that matplotlib wrote, with a rule for each colour that is another one on dark paper.

    A viewer that knows no such rules shows the light picture as it was.
    """
    rules = "".join(
        _RULE.format(kind=kind, light=light.lower(), dark=dark.lower())
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>\n"
    head, opened, body = svg.partition(" <defs>\n")
    return f"{head} {style}{opened}{body}"
