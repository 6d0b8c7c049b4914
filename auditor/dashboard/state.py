"""What a session looks at, in its address and in its memory; for pages alone."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from auditor.dashboard.filters import Filter
from auditor.dashboard.library import Entry
from auditor.dashboard.opened import Opened
from auditor.dashboard.shared import Shared, shared
from auditor.dashboard.words import many, plain
from auditor.errors import AuditorError

ICON = str(Path(__file__).with_name("web") / "icon.svg")
"""Of the browser's tab; one by name would be fetched from elsewhere."""

STYLE = """<style>
[data-testid="stMainBlockContainer"] { padding: 3.2rem clamp(1.25rem, 3vw, 3rem) 4rem; }
h1 { font-size: 2rem !important; padding-top: 0.4rem !important; }
h2 { font-size: 1.45rem !important; } h3 { font-size: 1.15rem !important; }
[data-testid="stMain"] hr { margin: 0.1rem 0 !important; }
[data-testid="stMetricValue"] { font-size: clamp(1.3rem, 2.3vw, 2.1rem) !important; }
[data-testid="stMetricLabel"] * { overflow: visible; white-space: normal !important; }
[data-testid="stPlotlyChart"] :is(.xtick text, .ytick text, .xtitle, .ytitle, .legendtext,
  .annotation-text) {
  fill: currentColor !important;
}
[data-testid="stMain"] [data-testid="stPageLink"] a {
  border: 1px solid rgba(128, 128, 128, 0.45); border-radius: 0.4rem; padding: 0.3rem 0.7rem;
}
[data-testid="stMain"] [data-testid="stPageLink"] a:hover { border-color: currentColor; }
a:focus-visible, button:focus-visible { outline: 3px solid currentColor; outline-offset: 2px; }
</style>"""
"""Less air than Streamlit leaves, for a page that is worked in."""


def served() -> Shared:
    """What this process serves; stops the page where `auditor dashboard` did not start it."""
    found = shared()
    if found is None:
        st.error(
            "Start the dashboard with `auditor dashboard RUNS`: only then are pictures served and "
            "requests from other pages refused."
        )
        st.stop()
    return found


def names() -> list[str]:
    """The finished runs, the newest first."""
    return [entry.name for entry in entries() if entry.state == "finished"]


def entries() -> list[Entry]:
    """Every run of the folder; read once in a run of the script."""
    return served().library.entries()


def chosen() -> str | None:
    """The name of the run that is looked at; None without a finished one."""
    known = names()
    for name in (
        st.query_params.get("run"),
        st.session_state.get("run"),
        served().focus,
        next(iter(known), None),
    ):
        if name in known:
            st.session_state["run"] = name
            return name
    return None


def opened() -> Opened:
    """The run that is looked at; says what to do and stops the page where there is none."""
    asked = st.query_params.get("run")
    name = chosen()
    if asked and asked != name:
        missing(asked)
    if name is None:
        empty()
    assert name is not None
    try:
        return served().library.open(name)
    except AuditorError as error:
        st.error(plain(error))
        st.stop()


def missing(name: str) -> None:
    """Say why a run of an address cannot be shown, and stop."""
    entry = next((entry for entry in entries() if entry.name == name), None)
    if entry is None:
        st.error(f"There is no run {plain(repr(name))} in this folder.")
    elif entry.state == "unfinished":
        st.info(f"The run {plain(repr(name))} is not finished; *New audit* follows it.")
    else:
        st.error(plain(entry.problem or "It cannot be opened."))
    if known := names():
        st.write("Runs that can be opened:")
        for other in known:
            st.page_link(page("overview"), label=plain(other), query_params={"run": other})
    st.stop()


def empty() -> None:
    """Say how to come by a run, and stop."""
    folder = served().library.folder
    st.title("No finished run yet")
    st.write(f"This dashboard shows the runs in {plain(folder)}. To make one:")
    st.code(
        f"auditor audit CONFIG.toml --out {folder}/first   # an audit of your own\n"
        f"auditor demo --out {folder}                      # the doctor/nurse example",
        language="bash",
    )
    waiting = [entry for entry in entries() if entry.state != "finished"]
    for entry in waiting:
        if entry.state == "unfinished":
            st.info(f"{plain(entry.name)} is not finished; *New audit* follows it.")
        else:
            st.error(plain(entry.problem or entry.name))
    st.page_link(page("new_audit"), label="Start an audit here")
    st.stop()


def page(name: str) -> str:
    """A page's path as links take it."""
    return f"pages/{name}.py"


def address(params: Mapping[str, str]) -> None:
    """Make the address say what is looked at: the run, and these parameters alone."""
    wanted = {**({"run": name} if (name := chosen()) else {}), **params}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def current_filter() -> Filter:
    """The conditions in the address."""
    return Filter.read(st.query_params.to_dict())


def case_link(label: str, wanted: Filter, icon: str | None = None) -> None:
    """A link to the cases that fulfil a filter."""
    params = {"run": chosen() or "", **wanted.params()}
    st.page_link(page("cases"), label=label, icon=icon, query_params=params)


def reviewer() -> str:
    """Who reviews: what the sidebar says, by default the account's name."""
    if "reviewer" not in st.session_state:
        try:
            st.session_state["reviewer"] = getpass.getuser()
        except (OSError, KeyError):
            st.session_state["reviewer"] = "reviewer"
    return str(st.session_state["reviewer"]).strip() or "reviewer"


def sidebar() -> None:
    """Which run, and who reviews."""
    known = names()
    name = chosen()
    with st.sidebar:
        if name is None:
            return
        sizes = {entry.name: entry.cases for entry in entries() if entry.state == "finished"}

        def change() -> None:
            st.session_state["run"] = st.session_state["run_choice"]
            st.query_params.from_dict({"run": st.session_state["run_choice"]})

        st.session_state["run_choice"] = name
        st.selectbox(
            "Run",
            known,
            key="run_choice",
            on_change=change,
            format_func=lambda name: f"{name} ({many(sizes.get(name) or 0, 'case')})",
        )
        reviewer()
        st.text_input("Reviewer", key="reviewer", max_chars=80)
