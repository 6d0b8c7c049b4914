"""`auditor discover`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import click

from auditor.cli.progress import progress_bar
from auditor.cli.text import json_text, printable
from auditor.discovery import DiscoveryOptions
from auditor.discovery import discover as write_discovery
from auditor.discovery.writing import Discovered, Step
from auditor.language import counted
from auditor.store import open_run


class Clusters(click.ParamType):  # type: ignore[type-arg]  # no generic at run time
    """The word "auto", or a number of clusters."""

    name = "clusters"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """None for "auto"."""
        number = int(value) if str(value).isdigit() else None
        if number is None and value != "auto":
            self.fail(f"{value!r} is neither auto nor a number.", param, ctx)
        return number  # its bounds are those of `DiscoveryOptions`


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option(
    "--cases",
    type=click.Choice(["errors", "all"]),
    default="errors",
    show_default=True,
    help="What is clustered.",
)
@click.option(
    "--by",
    type=click.Choice(["maps", "features", "both"]),
    default="both",
    show_default=True,
    help="Where the margin maps lie; what the model sees there, which needs the model; or both.",
)
@click.option(
    "--clusters",
    type=Clusters(),
    metavar="auto|K",
    default="auto",
    help="How many, 2 to 12; auto, the default, takes the largest eigengap.",
)
@click.option(
    "--most",
    default=DiscoveryOptions.most,
    show_default=True,
    help="Cluster a random sample of so many cases at most.",
)
@click.option("--seed", default=DiscoveryOptions.seed, show_default=True)
@click.option("--no-images", is_flag=True, help="Without contact sheets.")
@click.option(
    "--blur",
    metavar="REGION",
    multiple=True,
    help="Make this annotated region unrecognisable on contact sheets; may be given again.",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …")
@click.option("--json", "as_json", is_flag=True, help="Print clusters.json instead.")
def discover(
    run: Path,
    out: Path,
    cases: Literal["errors", "all"],
    by: Literal["maps", "features", "both"],
    clusters: int | None,
    most: int,
    seed: int,
    no_images: bool,
    blur: tuple[str, ...],
    device: str,
    as_json: bool,
) -> None:
    """Cluster the errors of a finished RUN, for cues that nobody annotated.

    Writes a folder: index.html, a contact sheet for each cluster, clusters.json,
    clusters.parquet, and coco.json, a task for annotation tools. Clusters are hints, not
    findings: annotate what they show, name it as a cue, and audit again.

    \b
    auditor discover runs/first --out first-clusters
    auditor discover runs/first --out first-maps --by maps --cases all --no-images
    """
    chosen = tuple(dict.fromkeys(blur))
    options = DiscoveryOptions(cases, by, clusters, most, seed, not no_images, chosen)
    opened = open_run(run)
    with ExitStack() as stack:
        bars = {
            "features": stack.enter_context(progress_bar("Reading features", "images")),
            "comparing": stack.enter_context(progress_bar("Comparing with chance", "data sets")),
            "drawing": stack.enter_context(progress_bar("Drawing", "sheets")),
        }

        def progress(step: Step, done: int, total: int) -> None:
            bars[step](done, total)

        features = None
        if "features" in options.kinds:
            from auditor.pipeline.featuring import Featuring

            features = Featuring.of(opened, device, bars["features"]).under
        made = write_discovery(opened, out, options, features=features, progress=progress)
    if as_json:
        click.echo(json_text(dict(made.document)))
    else:
        _tell(made)


def _tell(made: Discovered) -> None:
    document = made.document
    told = document["cases"]
    what = "error" if document["options"]["cases"] == "errors" else "case"
    click.echo(
        f"Clustered {told['clustered']:,} of {counted(told['considered'], what)}"
        f" ({told['without_positive_evidence']:,} without positive evidence)."
    )
    least = document["off_subject"]
    if least is not None:
        on = f"\nEvidence of the {len(least['cases'])} cases that lies least on the subject: lift "
        where = "" if least["sheet"] is None else f"; {least['sheet']}"
        lifts = [case["lift"] for case in (least["cases"][0], least["cases"][-1])]
        click.echo(f"{on}{lifts[0]:.2f} to {lifts[1]:.2f} (1 is chance){where}")
    for kind in document["kinds"]:
        click.echo(f"\nBy {kind['by']}: {printable(kind['text'])}")
        for cluster in kind["clusters"]:
            click.echo(f"   {cluster['number']}. {printable(cluster['text'])}")
    click.echo(f"\n{document['hint']}")
    for note in document["notes"]:
        click.echo(printable(note))
    folder = made.folder
    click.echo(f"Wrote {printable(str(folder))}; open {printable(str(folder / 'index.html'))}")
