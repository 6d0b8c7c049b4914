"""The parts of the page that starts audits; for that page alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import streamlit as st

from auditor.dashboard import state
from auditor.dashboard.drafts import save, validate
from auditor.dashboard.launching import Launch, Request, launches, resume, start, stop
from auditor.dashboard.launching import state as launch_state
from auditor.dashboard.place import Place
from auditor.dashboard.words import many, plain
from auditor.errors import AuditorError
from auditor.explanations import EXPLANATIONS

_EVIDENCE: Mapping[str, Literal["suspects", "all"] | int | None] = {
    "the cases that the configuration says": None,
    "suspects and a random sample": "suspects",
    "every case": "all",
    "no case (maps only)": 0,
}

_STAGES = {
    "maps": "computing maps",
    "references": "reading what chance gives",
    "checks": "checking the maps",
    "changes": "changing pixels",
    "judging": "judging every case",
    "agreement": "judging errors with other methods",
    "layers": "making maps at other layers",
    "faithfulness": "taking away what maps point at",
    "probes": "probing the dataset",
}


@st.fragment(run_every=1.5)
def running(place: Place) -> None:
    """Audits that are not finished, and the one that was started here when it is."""
    watched = st.session_state.get("watched")
    found = launches(place.runs)
    if watched and not any(launch.out.name == watched for launch in found):
        last = launch_state(place.runs / watched)
        if last is not None and last.state == "finished":
            st.success(f"The audit {plain(watched)} is finished.")
            st.page_link(state.page("overview"), label="Open it", query_params={"run": watched})
    if not found:
        return
    st.header("Not finished yet")
    for launch in found:
        with st.container(border=True):
            _launch(place, launch)


def _launch(place: Place, launch: Launch) -> None:
    name, seen = launch.out.name, launch.unfinished
    told = "stopping" if launch.stopping and launch.state == "running" else launch.state
    st.markdown(f"**{plain(name)}** · {told}")
    if seen is not None and seen.stage is not None:
        count = f": {seen.done:,} of {seen.total:,} cases" if seen.total else ""
        st.progress(min(1.0, seen.share or 0.0), f"{_STAGES.get(seen.stage, seen.stage)}{count}")
    elif launch.state == "running":
        st.progress(0.0, "reading dataset and model")
    if seen is not None and seen.state == "damaged":
        st.error(plain(seen.reason))
    if launch.state == "stopped" and seen is not None:
        st.caption(f"{many(seen.shards * 256, 'case')} at most are kept and need no second look.")
    if launch.lines:
        st.code("\n".join(launch.lines), language=None)
    with st.container(horizontal=True):
        if launch.stoppable and not launch.stopping:
            _button("Stop", name, ":material/stop_circle:", lambda: stop(place, name, seconds=1))
        if launch.continuable:
            _button("Continue", name, ":material/play_circle:", lambda: resume(place, name))
    if launch.state == "running" and not launch.stoppable:
        st.caption("Started in a terminal, where Ctrl-C stops it.")


def _button(label: str, name: str, icon: str, act: Callable[[], Launch]) -> None:
    if st.button(label, icon=icon, key=f"{label}_{name}"):
        try:
            act()
            st.session_state["watched"] = name
        except AuditorError as error:
            st.error(plain(error))
            return
        st.rerun(scope="fragment")


def editor(place: Place, name: str) -> None:
    """The file's text, to be saved over it or beside it."""
    try:
        text = place.configuration(name).read_text(encoding="utf-8")
    except (AuditorError, OSError, ValueError) as error:
        st.error(plain(error))
        return
    with st.expander("Look at it, or edit it", icon=":material/edit:"):
        edited = st.text_area("Text", text, height=420, key=f"text_{name}")
        other = st.text_input(
            "Save as", name.rsplit("/", 1)[-1], key=f"as_{name}", help="In the same folder."
        )
        if st.button("Save", icon=":material/save:", key=f"save_{name}"):
            try:
                over = other == name.rsplit("/", 1)[-1]
                saved = save(place, other, edited, over=over, beside=name)
                st.success(f"Saved {plain(saved)}.")
            except AuditorError as error:
                st.error(plain(error))


def checking(place: Place, name: str) -> None:
    """Read labels, images and regions without a model."""
    if not st.button("Validate", icon=":material/fact_check:"):
        return
    with st.spinner("Reading every label, image header and region …", show_time=True):
        try:
            result = validate(place, name)
        except AuditorError as error:
            st.error(plain(error))
            return
    cases = "" if result.cases is None else f"{many(result.cases, 'case')} read. "
    if result.stopping:
        st.error(f"{cases}An audit would not start:")
        st.code("\n".join(result.stopping), language=None)
    elif result.spoiling:
        st.warning(f"{cases}An audit would start, and leave these out:")
        st.code("\n".join(result.spoiling), language=None)
    else:
        st.success(f"{cases}Nothing is wrong.")


def launcher(place: Place, name: str) -> None:
    """The audit's own choices, and its start."""
    with st.form("start"):
        left, middle, right = st.columns(3)
        run = left.text_input("Name of the run", name.rsplit("/", 1)[-1].removesuffix(".toml"))
        evidence = middle.selectbox(
            "Change the pixels of",
            list(_EVIDENCE),
        )
        limit = right.number_input(
            "At most so many cases", 1, value=None, step=100, placeholder="all"
        )
        views = _views()
        if not st.form_submit_button("Start the audit", icon=":material/play_arrow:"):
            return
    try:
        start(
            place,
            run.strip(),
            Request(name, _EVIDENCE[evidence], None if limit is None else int(limit), *views),
        )
    except AuditorError as error:
        st.error(plain(error))
        return
    st.session_state["watched"] = run.strip()
    st.rerun()


def _views() -> tuple[tuple[str, ...] | None, bool | None, int | None]:
    """Looks beside the audit's own maps: methods, layers, cases of faithfulness.

    Each is null where nothing is chosen, which leaves it to the configuration.
    """
    with st.expander("Look closer", icon=":material/search:"):
        st.caption(
            "Each costs time, and none changes a flag or the verdict. What is left empty is as the "
            "configuration says."
        )
        methods = st.multiselect(
            "Judge the errors with other methods, too",
            list(EXPLANATIONS),
            format_func=_method,
            placeholder="as configured",
            help="Whether they would queue the same errors.",
        )
        st.caption(
            "At most 500 errors with each method, and its gates: about 1,100 forward passes of the "
            "model; with a method that runs it once for every channel, tens of thousands."
        )
        left, right = st.columns(2)
        layers = left.checkbox(
            "Make maps at other layers, too",
            help="Whether they lie where they do at this audit's layer only.",
        )
        left.caption("Up to 64 cases at up to eight layers: about 500 forward passes.")
        cases = right.number_input(
            "Take away what maps point at, on so many cases",
            1,
            value=None,
            placeholder="as configured",
            help="Whether the cells that a map points at matter to the model.",
        )
        right.caption("About 150 forward passes a case, and 35 more for each further method.")
    return tuple(methods) or None, layers or None, None if cases is None else int(cases)


def _method(key: str) -> str:
    """A method by its title, and what to know before choosing it."""
    known = EXPLANATIONS[key]
    told = [] if known.evidence else ["a view"]
    told += ["slow"] * ("channels" in known.passes)
    return f"{known.title} ({', '.join(told)})" if told else known.title
