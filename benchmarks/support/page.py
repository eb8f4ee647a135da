"""Writes docs/reference/performance.md from the results of the benchmarks."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "performance.md"
NOTE = "<!-- Written by benchmarks/suite.py (`make bench`); run it to have it written again. -->\n"
BUSY = 1.0
"""Load average from which a page says that its figures are too low."""
TITLES = {
    "delivery": "Delivery",
    "latency": "Latency, and the cost of idling",
    "capture": "Cost of capture",
    "backlog": "A long backlog",
    "dead_receiver": "A dead receiver",
    "token_bucket": "Token bucket",
    "search": "Search",
    "instances": "Several instances",
    "memory": "Memory",
}


def write_page(names: Sequence[str], results: Path, remarks: Sequence[str], *, full: bool) -> Path:
    """Write the page from what is in the folder; returns its path."""
    found = {}
    for name in names:
        file = results / f"{name}.json"
        if file.exists():
            found[name] = json.loads(file.read_text("utf-8"))
    PAGE.write_text("\n".join([NOTE, *_page(found, remarks, full=full)]) + "\n", encoding="utf-8")
    return PAGE


def _page(found: dict[str, dict[str, Any]], remarks: Sequence[str], *, full: bool) -> Iterator[str]:
    yield "# Performance\n"
    form = "the long form (`make bench-full`)" if full else "the short form (`make bench`)"
    yield f"What the benchmarks measured, in {form}: each figure beside its yardstick in the same"
    yield "run, as medians over rounds; ratios are taken within a round. *Held to* is what the"
    yield "design sets. Absolute numbers are this machine's; the ratios carry over."
    yield from _machine(found)
    for remark in remarks:
        yield f"\n{remark}"
    yield from _verdict(found)
    for name, result in found.items():
        yield f"\n## {TITLES.get(name, name)}\n"
        yield from _section(result)


def _machine(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    if not found:
        return
    newest = max(found.values(), key=lambda result: str(result["date"]))
    machine, versions = newest["machine"], newest["versions"]
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield f"\nMachine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB,"
    yield f"{machine['system']}; receiver, database and yardsticks on the same cores.  "
    yield f"Date: {newest['date'][:10]}.  "
    yield f"Versions: {shown}."


def _verdict(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    figures = [one for result in found.values() for one in result["figures"]]
    judged = [one for one in figures if one["holds"] is not None]
    missed = [one for one in judged if not one["holds"]]
    yield f"\nOf {len(judged)} figures that the design sets a bound to, {len(judged) - len(missed)}"
    yield "hold" + (" and these do not:\n" if missed else ".")
    for one in missed:
        yield f"- {one['engine']}: {one['what']}: {one['shown']} (held to {one['target']})"


def _section(result: dict[str, Any]) -> Iterator[str]:
    yield f"`{result['command']}`, {result['date'][:16].replace('T', ' ')} UTC.\n"
    yield "| engine | what | measured | beside | held to | holds |\n|---|---|---|---|---|---|"
    for one in result["figures"]:
        holds = {True: "yes", False: "**no**", None: ""}[one["holds"]]
        cells = (one["engine"], one["what"], one["shown"], one["beside"], one["target"], holds)
        yield f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"
    if result.get("load", 0) > BUSY:
        yield f"\nThe machine was busy with other work: load {result['load']:.1f} before the start."
    for note in result["notes"]:
        yield f"\n{note[:1].upper()}{note[1:]}."
